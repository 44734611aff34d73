// What a page makes of events, held against the server: whoever folds what it is told into the
// order it knew has the order as it stands, to the last member.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { fold } from '../../src/dashboard/assets/fold.js';
import { Server, until } from '../sdk/javascript/support.mjs';

const STORE = { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin' };
const DOOR = { name: 'Ann Lee', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41 };

/** As JSON has it: what is undefined is not there. */
const plain = (value) => JSON.parse(JSON.stringify(value));

describe('an order that is folded from events', { timeout: 600_000 }, () => {
  let server, platform, ops, store, tablet, count;

  const issue = async (kind, subject, orders) =>
    (await server.call(platform, 'POST', '/v1/tokens', { kind, subject, orders })).token;

  before(async () => {
    server = await Server.start({ ORDERCAST_TIMERS__POLL_INTERVAL_MS: '100' });
    // Couriers are named here.
    await server.command('tenant', 'acme', '--offer-mode', 'off');
    platform = await server.command('token', '--tenant', 'acme');
    store = (await server.call(platform, 'PUT', '/v1/stores/ext/corner', STORE)).id;
    tablet = await issue('store', store);
    ops = await issue('ops', 'ann');
    count = 0;
  });
  after(async () => {
    await server?.remove();
  });

  async function courier(lat) {
    count += 1;
    const body = { name: 'Cori Rider', vehicle: { type: 'scooter' }, capacity: 9 };
    const { id } = await server.call(platform, 'PUT', `/v1/drivers/ext/d-${count}`, body);
    const token = await issue('driver', id);
    await server.call(token, 'PUT', '/v1/drivers/me/duty', { duty: 'on' });
    const p = [[1, Date.now(), lat, 13.4]];
    await server.call(token, 'POST', '/v1/drivers/me/locations', { p });
    return { id, token };
  }

  /** An order, and what each of those who may see it makes of its events. */
  class Watched {
    static async place(more = {}) {
      count += 1;
      const watched = new Watched();
      const items = [{ name: 'Margherita', qty: 2 }];
      const body = { external_id: `F-${count}`, store, dropoff: DOOR, items, ...more };
      watched.id = (await server.call(platform, 'POST', '/v1/orders', body)).id;
      watched.path = `/v1/orders/${watched.id}`;
      const customer = await issue('customer', 'ann', [watched.id]);
      watched.views = new Map();
      for (const [who, token] of Object.entries({ platform, ops, store: tablet, customer })) {
        const order = await server.call(token, 'GET', watched.path);
        watched.views.set(who, { token, order, position: 0 });
      }
      return watched;
    }

    /** Does something, waits for an event of `type` if one is named, and compares. */
    async does(what, type) {
      await what();
      for (const [who, view] of this.views) await this.#follow(who, view, type);
    }

    async post(action, body = {}, token = ops) {
      await this.does(() => server.call(token, 'POST', `${this.path}/${action}`, body));
    }

    async #follow(who, view, type) {
      const seen = [];
      const current = await until(`${who} has heard all`, async () => {
        // The order is read first: what happens in between is told, too.
        const order = await server.call(view.token, 'GET', this.path);
        const page = `${this.path}/events?after=${view.position}&limit=100`;
        const { events } = await server.call(view.token, 'GET', page);
        for (const event of events) {
          view.position = event.position;
          seen.push(event.type);
          if (event.order === this.id) view.order = fold(view.order, event);
        }
        const heard = !type || who === 'store' || who === 'customer' || seen.includes(type);
        return heard && order.version >= view.order.version && order;
      });
      // A customer is not told of everything that has a version.
      const { version: _, ...folded } = plain(view.order);
      const { version: __, ...stands } = current;
      assert.deepEqual(folded, stands, `${who} after ${seen}`);
    }
  }

  test('is the order as it stands, whoever was told, on the whole way', async () => {
    const order = await Watched.place();
    const [one, two] = [await courier(52.521), await courier(52.525)];
    const in_min = (minutes) => new Date(Date.now() + minutes * 60_000).toISOString();
    const assign = (driver) => () => server.call(ops, 'PUT', `${order.path}/driver`, { driver });
    await order.post('accept', { prep_min: 40 });
    await order.does(() => server.call(ops, 'PUT', `${order.path}/prep`, { prep_min: 50 }));
    const door = { ...DOOR, lat: 52.55 };
    await order.does(() => server.call(ops, 'PATCH', order.path, { dropoff: door, note: 'x' }));
    await order.post('offers', { mode: 'broadcast' });
    await order.does(() => server.call(ops, 'DELETE', `${order.path}/offers`), 'courier.search_failed');
    await order.post('offers', { drivers: [one.id] });
    const { offers } = await server.call(one.token, 'GET', '/v1/drivers/me/offers');
    const accept = `/v1/offers/${offers[0].offer}/accept`;
    await order.does(() => server.call(one.token, 'POST', accept, {}), 'offer.closed');
    const eta = { pickup_eta: in_min(70), dropoff_eta: in_min(90) };
    await order.does(() => server.call(platform, 'PUT', `${order.path}/eta`, eta));
    const tour = { orders: [order.id] };
    await order.does(() => server.call(one.token, 'PUT', '/v1/drivers/me/route', tour));
    await order.does(assign(two.id));
    await order.post('at_store', {}, two.token);
    await order.post('note', { note: 'a remark' });
    await order.post('drop', { reason: 'vehicle' }, two.token);
    await order.does(assign(one.id));
    await order.post('ready');
    await order.post('unready');
    await order.post('at_store', {}, one.token);
    await order.post('pickup', {}, one.token);
    await order.does(() => server.call(one.token, 'PUT', '/v1/drivers/me/route', tour));
    await order.does(assign(two.id));
    await order.post('at_door', {}, two.token);
    await order.post('return', { reason: 'refused' }, two.token);
    await order.post('redeliver');
    await order.post('deliver', {}, two.token);
  });

  test('is the order as it ends, however it ends', async () => {
    const cori = await courier(52.521);
    const on_the_way = async (order) => {
      await order.post('accept', { prep_min: 60 });
      await order.does(() => server.call(ops, 'PUT', `${order.path}/driver`, { driver: cori.id }));
      await order.post('pickup', {}, cori.token);
    };
    let order = await Watched.place();
    await on_the_way(order);
    await order.post('fail', { reason: 'lost' }, cori.token);
    order = await Watched.place();
    await on_the_way(order);
    await order.post('return', { reason: 'refused' }, cori.token);
    await order.post('returned');
    order = await Watched.place();
    await order.post('accept', { prep_min: 60 });
    await order.post('offers');
    await order.post('cancel', { reason: 'duplicate' });
    order = await Watched.place();
    await order.post('reject', { reason: 'too_busy' });
    order = await Watched.place({ fulfilment: 'collection', dropoff: null });
    await order.post('accept', { prep_min: 5 });
    await order.post('ready');
    await order.post('collect');
    order = await Watched.place({ fulfilment: 'store_delivery' });
    await order.post('accept', { prep_min: 5 });
    await order.post('pickup');
    await order.post('deliver');
    const window = { from: '2099-01-01T18:00:00Z', to: '2099-01-01T19:00:00Z' };
    order = await Watched.place({ window });
    const later = { window: { from: '2099-01-02T18:00:00Z', to: '2099-01-02T19:00:00Z' } };
    await order.does(() => server.call(ops, 'PATCH', order.path, later));
    await order.post('release');
    await order.post('accept', { prep_min: 5 });
    await order.post('start');
  });
});
