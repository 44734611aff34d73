// What the dispatch board makes of what it hears: order of cards, alarms, what may be done. Hand-fed,
// as some of it takes minutes to happen.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { assignRefusal, columnMove } from '../../src/dashboard/assets/dispatching.js';
import { Fleet, lateness } from '../../src/dashboard/assets/fleet.js';

const NOW = Date.parse('2025-01-02T18:00:00Z');
const at = (minutes) => new Date(NOW + minutes * 60_000).toISOString();
const STORE = { id: 'st_1', name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin' };
const CORI = { id: 'dr_1', name: 'Cori Rider', display_name: 'Cori R.', duty: 'on', capacity: 2 };

function order(id, more = {}) {
  return {
    id, version: 1, short_code: id.slice(3), fulfilment: 'delivery', status: 'placed', leg: 'none',
    store: STORE, items: [], accept_by: at(5), ...more, stamps: { placed: at(-3), ...more.stamps },
  };
}

function fleetOf(...orders) {
  const fleet = new Fleet();
  fleet.replace({ at: at(0), orders, truncated: false });
  fleet.couriers.set(CORI.id, { ...CORI });
  fleet.stores.set(STORE.id, STORE);
  return fleet;
}

const kinds = (fleet, now = NOW) => fleet.alarms(now).map(({ kind }) => kind);

describe('the dispatch board', () => {
  test('puts the worst first: late ones, then what is due first', () => {
    const fleet = fleetOf(
      order('or_far', { status: 'preparing', ready_eta: at(20) }),
      order('or_late', { status: 'preparing', ready_eta: at(-4) }),
      order('or_near', { status: 'accepted', ready_eta: at(2) }),
      order('or_told', { status: 'preparing', ready_eta: at(9), late: ['prep'] }),
      order('or_later', { status: 'preparing', ready_eta: at(-9) }),
    );
    const column = fleet.column('preparing', () => true);
    assert.deepEqual(column.map((entry) => entry.order.id),
      ['or_told', 'or_later', 'or_late', 'or_near', 'or_far']);
    assert.deepEqual(column.map((entry) => lateness(entry, NOW) > 0), [true, true, true, false, false]);
  });

  test('counts what each courier has, through hand-overs and ends', () => {
    const fleet = fleetOf(order('or_1', { status: 'ready', leg: 'assigned', driver: CORI }));
    assert.equal(fleet.load('dr_1'), 1);
    const other = { id: 'dr_2', name: 'Ada Adler' };
    fleet.hear({ type: 'courier.changed', order: 'or_1', n: 2, at: at(0), data: { driver: other } });
    assert.deepEqual([fleet.load('dr_1'), fleet.load('dr_2')], [0, 1]);
    fleet.hear({ type: 'order.delivered', order: 'or_1', n: 3, at: at(0), data: {} });
    assert.equal(fleet.load('dr_2'), 0);
  });

  test('sounds an alarm when a search has failed, until a courier is there', () => {
    const fleet = fleetOf(order('or_1', { status: 'preparing', leg: 'offering', ready_eta: at(5) }));
    assert.deepEqual(kinds(fleet), []);
    fleet.hear({ type: 'courier.search_failed', order: 'or_1', n: 2, at: at(0), data: {} });
    assert.deepEqual(kinds(fleet), ['search_failed']);
    fleet.hear({ type: 'courier.assigned', order: 'or_1', n: 3, at: at(1), data: { driver: CORI } });
    assert.deepEqual(kinds(fleet), []);
  });

  test('knows a failed search after a reload by the past of the order', () => {
    const fleet = fleetOf(
      order('or_1', { status: 'preparing', ready_eta: at(5) }),
      order('or_2', { status: 'preparing', leg: 'offering', ready_eta: at(5) }),
      order('or_3', { status: 'preparing', ready_eta: at(-5) }),
    );
    assert.deepEqual(fleet.unclaimed(), ['or_3', 'or_1']);
    const past = (...types) => ['order.placed', ...types, 'order.eta'].map((type, nth) => ({ type, at: at(nth - 9) }));
    assert.equal(fleet.recall('or_3', past()), false, 'nobody was searched');
    assert.equal(fleet.recall('or_3', past('courier.search_failed', 'courier.searching')), false, 'another search');
    assert.deepEqual(kinds(fleet), []);
    assert.equal(fleet.recall('or_1', past('courier.searching', 'courier.search_failed')), true);
    assert.equal(fleet.recall('or_1', past('courier.searching', 'courier.search_failed')), false, 'it is known');
    assert.deepEqual(fleet.alarms(NOW).map(({ kind, since }) => [kind, since]), [['search_failed', NOW - 7 * 60_000]]);
    // Meanwhile it is searched again.
    fleet.hear({ type: 'courier.searching', order: 'or_3', n: 2, at: at(0), data: { round: 1 } });
    assert.equal(fleet.recall('or_3', past('courier.search_failed')), false);
  });

  test('sounds an alarm for what is ready and unclaimed, also after a reload', () => {
    const fleet = fleetOf(order('or_1', { status: 'ready', stamps: { ready: at(-2) } }));
    assert.deepEqual(kinds(fleet), ['unclaimed']);
    assert.deepEqual(kinds(fleet, NOW - 90_000), []);
  });

  test('sounds an alarm when a courier is at a door for more than five minutes', () => {
    const there = order('or_1', { status: 'picked_up', leg: 'at_door', driver: CORI, stamps: { at_door: at(-4.9) } });
    assert.deepEqual(kinds(fleetOf(there)), []);
    assert.deepEqual(kinds(fleetOf(there), NOW + 10_000), ['at_door']);
  });

  test('says when nothing is heard of a courier: on the card after a minute, an alarm after five', () => {
    const fleet = fleetOf(order('or_1', {
      status: 'picked_up', leg: 'en_route', driver: CORI, dropoff_eta: at(8), eta_source: 'computed',
    }));
    assert.equal(fleet.locate({ driver: 'dr_1', lat: 52.5, lng: 13.4, at: at(0), n: 7 }), true);
    assert.equal(fleet.locate({ driver: 'dr_1', lat: 52.6, lng: 13.4, at: at(-1), n: 6 }), false, 'never backwards');
    const [entry] = fleet.column('courier', () => true);
    assert.deepEqual(fleet.doubts(entry, NOW + 50_000), { gps: 0, unsure: false });
    assert.deepEqual(fleet.doubts(entry, NOW + 90_000), { gps: 90_000, unsure: true });
    assert.deepEqual(kinds(fleet, NOW + 290_000), []);
    assert.deepEqual(kinds(fleet, NOW + 310_000), ['courier_stale']);
    fleet.locate({ driver: 'dr_1', lat: 52.5, lng: 13.4, at: at(5), n: 8 });
    assert.deepEqual(kinds(fleet, NOW + 310_000), []);
  });

  test('sounds an alarm for a silent store until it acts or nothing waits', () => {
    const fleet = fleetOf(order('or_1'), order('or_2'));
    fleet.hear({ type: 'store.silent', store: 'st_1', at: at(0), data: {} });
    assert.deepEqual(kinds(fleet), ['store_silent']);
    const by = { role: 'store', id: 'st_1' };
    fleet.hear({ type: 'order.accepted', order: 'or_1', n: 2, at: at(1), by, data: { prep_min: 9, ready_eta: at(9) } });
    assert.deepEqual(kinds(fleet), []);
  });

  test('sounds an alarm when a store turns down three in a row', () => {
    const fleet = fleetOf(...[1, 2, 3, 4].map((nth) => order(`or_${nth}`)));
    const reject = (id, code = 'too_busy') => fleet.hear({
      type: 'order.rejected', order: id, n: 2, at: at(0), by: { role: 'store' }, data: { code },
    });
    reject('or_1');
    reject('or_2');
    reject('or_3', 'no_response');
    assert.deepEqual(kinds(fleet), []);
    reject('or_4');
    assert.deepEqual(kinds(fleet), ['store_rejects']);
  });

  test('knows who cannot take an order, and why', () => {
    const ready = order('or_1', { status: 'ready' });
    assert.equal(assignRefusal(ready, CORI, 1), '');
    assert.equal(assignRefusal(ready, CORI, 2), 'No room: 2 of 2');
    assert.equal(assignRefusal(ready, { ...CORI, duty: 'paused' }, 0), 'On a break');
    assert.equal(assignRefusal({ ...ready, driver: CORI }, CORI, 1), 'Has it already');
    assert.equal(assignRefusal({ ...ready, fulfilment: 'collection' }, CORI, 0), 'The customer collects it');
    assert.equal(assignRefusal({ ...ready, status: 'delivered' }, CORI, 0), 'It is over');
  });

  test('knows which columns an order may be dragged to, and why not to others', () => {
    const placed = order('or_1');
    assert.deepEqual(columnMove(placed, 'placed', 'preparing'), { action: 'accept', words: 'Accept' });
    assert.deepEqual(columnMove(placed, 'placed', 'courier'), { refusal: 'Not accepted yet' });
    assert.equal(columnMove(placed, 'placed', 'placed'), null);
    const ready = order('or_2', { status: 'ready' });
    assert.deepEqual(columnMove(ready, 'ready', 'courier'), { refusal: 'No courier yet' });
    assert.equal(columnMove({ ...ready, leg: 'at_store', driver: CORI }, 'ready', 'courier').action, 'pickup');
    assert.deepEqual(columnMove({ ...ready, status: 'picked_up' }, 'courier', 'ready'), { refusal: 'Picked up already' });
  });
});
