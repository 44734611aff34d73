// What the pages of customers and couriers work out by themselves: where somebody is, which stop is
// next, what an order will be, when an arrival has slipped.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { headOf, ladderOf, showsCourier, slipOf, vehicleOf } from '../../src/dashboard/assets/journey.js';
import { foreseen, inTurn, missing, stepOf, waitAtDoor, wayOut } from '../../src/dashboard/assets/stops.js';
import { newerOf, pointOf, twinOf } from '../../src/dashboard/assets/whereabouts.js';

const at = (minute) => `2025-07-01T16:${String(minute).padStart(2, '0')}:00.000Z`;

describe('where a courier is', () => {
  const point = { lat: 52.52, lng: 13.4, at: at(5), n: 3 };

  test('it is told by a publication of that type, or by its bare data, and by nothing else', () => {
    assert.equal(pointOf({ v: 1, type: 'driver.location', order: 'or_1', at: at(6), data: point }), point);
    assert.equal(pointOf(point), point);
    assert.equal(pointOf({ v: 1, type: 'order.eta', at: at(6), data: point }), null);
    assert.equal(pointOf({ type: 'driver.location', data: { lat: 52.52, at: at(6) } }), null);
    assert.equal(pointOf(undefined), null);
  });

  test('it never goes back', () => {
    const older = { ...point, at: at(4) };
    const sooner = { ...point, n: 2 };
    const newer = { ...point, at: at(6), n: 4 };
    assert.equal(newerOf(null, point), point);
    assert.equal(newerOf(point, older), point);
    assert.equal(newerOf(point, sooner), point);
    assert.equal(newerOf(point, newer), newer);
    assert.equal(newerOf(point, null), point);
  });

  test('it is said in words', () => {
    const door = { lat: 52.53, lng: 13.41 };
    const now = Date.parse(at(5));
    assert.equal(twinOf(point, door, at(11), now), '1.3 km away, about 6 min');
    // An arrival that has passed is not said to be ahead.
    assert.equal(twinOf(point, door, at(4), now), '1.3 km away');
    assert.equal(twinOf(point, door, undefined, now), '1.3 km away');
  });
});

describe('what a customer reads', () => {
  const order = (more) => ({ fulfilment: 'delivery', store: { name: 'Corner', tz: 'UTC' }, steps: [], ...more });
  const passed = (...steps) => steps.map((step, nth) => ({ step, at: at(nth) }));

  test('the courier is on the map only on the way to this door', () => {
    const way = order({ steps: passed('received', 'preparing', 'on_the_way') });
    assert.equal(showsCourier(way), true);
    assert.equal(showsCourier({ ...way, stops_before: 1 }), false);
    assert.equal(showsCourier({ ...way, fulfilment: 'store_delivery' }), false);
    assert.equal(showsCourier(order({ steps: passed('received', 'preparing') })), false);
    assert.equal(showsCourier(order({ steps: passed('on_the_way', 'arriving') })), true);
    for (const end of ['delivered', 'cancelled', 'returning', 'failed']) {
      assert.equal(showsCourier(order({ steps: passed('on_the_way', end) })), false, end);
    }
  });

  test('a time that has passed is not one to come', () => {
    const way = order({ steps: passed('on_the_way'), dropoff_eta: at(25), dropoff_eta_lo: at(20), dropoff_eta_hi: at(30) });
    assert.equal(headOf(way, Date.parse(at(29))).label, 'Arrives');
    const late = headOf(way, Date.parse(at(31)));
    assert.deepEqual([late.label, late.time, late.note], ['', '', 'It takes a little longer than planned.']);
  });

  test('unknown steps are not made up, and steps that were left are not to come', () => {
    const states = (fulfilment, ...steps) =>
      ladderOf(order({ fulfilment, steps: passed(...steps) })).map(({ step, state }) => `${step} ${state}`);
    assert.deepEqual(states('collection', 'received', 'preparing', 'ready'),
      ['received done', 'preparing done', 'ready here', 'collected ahead']);
    assert.deepEqual(states('store_delivery', 'received'),
      ['received here', 'preparing ahead', 'on_the_way ahead', 'delivered ahead']);
    assert.deepEqual(states('delivery', 'received', 'rejected'), ['received done', 'rejected done']);
  });

  test('an arrival slips when it comes after all that was promised', () => {
    const span = (from, to) => [Date.parse(at(from)), Date.parse(at(to))];
    assert.equal(slipOf(null, span(10, 20), 'order.eta', 'UTC'), '');
    assert.equal(slipOf(span(10, 20), span(18, 28), 'order.eta', 'UTC'), '');
    assert.match(slipOf(span(10, 20), span(21, 31), 'order.eta', 'UTC'), /^Later than planned \([^:]*:10.*:20.*\)\.$/);
    assert.match(slipOf(span(10, 20), span(21, 31), 'order.prep_changed', 'UTC'), /: the kitchen needs more time\.$/);
  });

  test('a vehicle is what is known of it', () => {
    assert.equal(vehicleOf({ vehicle: { type: 'scooter', colour: 'red', plate: 'B-1' } }), 'red scooter · B-1');
    assert.equal(vehicleOf({}), '');
  });
});

describe('a courier’s work', () => {
  const order = (id, more) => ({ id, status: 'accepted', leg: 'assigned', ...more });

  test('one step follows the other', () => {
    let one = order('a', { proof_required: { pin: true } });
    const taps = [];
    const methods = [];
    for (let step = stepOf(one); step; step = one && stepOf(one)) {
      methods.push(step.method);
      taps.push({ method: step.method, data: {} });
      one = foreseen(order('a'), taps);
    }
    assert.deepEqual(methods, ['order.at_store', 'order.pickup', 'order.at_door', 'order.deliver']);
    assert.equal(one, null);
    const back = foreseen(order('a', { status: 'picked_up', leg: 'at_door' }), [{ method: 'order.return', data: {} }]);
    assert.equal(stepOf(back).method, 'order.returned');
    // What it does not know changes nothing.
    assert.deepEqual(foreseen(order('a'), [{ method: 'driver.duty', data: {} }]), order('a'));
  });

  test('what still has to be proved is asked for', () => {
    const one = order('a', { proof_required: { pin: true, photo: true, scan: false, pickup: ['scan'], return: ['photo'] } });
    assert.deepEqual(missing(one, 'dropoff'), ['photo', 'pin']);
    assert.deepEqual(missing(one, 'pickup'), ['scan']);
    assert.deepEqual(missing(one, 'return'), ['photo']);
    const proof = { method: 'proof.add', data: { point: 'dropoff', kind: 'photo' } };
    assert.deepEqual(missing(foreseen(one, [proof]), 'dropoff'), ['pin']);
    assert.deepEqual(missing(order('a'), 'dropoff'), []);
  });

  test('stops come in turn', () => {
    const ids = (...orders) => inTurn(orders).map(({ id }) => id).join('');
    const hot = { status: 'picked_up', leg: 'en_route' };
    assert.equal(ids(order('a'), order('b', hot)), 'ba', 'what is hot first');
    assert.equal(ids(order('a', hot), order('b', { leg: 'at_store' })), 'ba', 'where one stands first');
    assert.equal(ids(order('a', { ...hot, stop_seq: 2 }), order('b', { ...hot, stop_seq: 1 })), 'ba', 'as the tour says');
    assert.equal(ids(order('a', { ...hot, batch: 'x', stop_seq: 1 }), order('b', { batch: 'x', stop_seq: 2 })), 'ba', 'a tour is fetched whole');
    const since = (minute) => ({ stamps: { assigned: at(minute) } });
    assert.equal(ids(order('a', since(2)), order('b', since(1))), 'ba', 'as they came');
  });

  test('what cannot be handed over goes back, unless there is nothing left of it', () => {
    const back = order('a', { undeliverable_action: 'return' });
    assert.equal(wayOut(back, 'refused'), 'order.return');
    assert.equal(wayOut(back, 'lost'), 'order.fail');
    assert.equal(wayOut(order('a', { undeliverable_action: 'leave' }), 'refused'), 'order.fail');
  });

  test('nobody answers after five minutes at the door', () => {
    const here = order('a', { leg: 'at_door', stamps: { at_door: at(0) } });
    assert.equal(waitAtDoor(here, Date.parse(at(2))), 3 * 60_000);
    assert.equal(waitAtDoor(here, Date.parse(at(6))), 0);
    assert.equal(waitAtDoor(order('a', { leg: 'en_route' }), Date.parse(at(6))), Infinity);
  });
});
