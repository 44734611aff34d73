// What apps rely on, with the official SDK as npm has it: every case runs with the newest release
// of its major version and with the oldest in JSON, and with the newest in Protobuf.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import WebSocket from 'ws';

import { fullDay } from './day.mjs';
import { Network, Server, Subscriber, bytes, spoken, until } from './support.mjs';

/** Small, so that a test can miss more than is recovered; but more than a stalled socket holds. */
const RECOVERY_LIMIT = 60;
const SETTINGS = {
  ORDERCAST_SOCKET__RECOVERY_LIMIT: String(RECOVERY_LIMIT),
  ORDERCAST_SOCKET__MAILBOX_BYTES: '16384',
  ORDERCAST_SOCKET__SEND_BUFFER_BYTES: '4096',
};
/** More than mailbox, kernel and network together hold of 4 kB each, so that it overflows. */
const STALLED_CHANGES = RECOVERY_LIMIT;
/** The build that mobile SDKs resemble: binary frames. */
const PROTOBUF = 'centrifuge/build/protobuf';

// They wait for most of their time, each on a server of its own.
describe('the SDK', { concurrency: true }, () => {
  for (const sdk of ['centrifuge', 'centrifuge-oldest', PROTOBUF]) {
    describe(sdk, { concurrency: 1, timeout: 600_000 }, () => cases(sdk));
  }
});

function cases(sdk) {
  let Centrifuge, State, server, network, platform, store, driver, relief, clients, count;

  before(async () => {
    const module = await import(sdk);
    ({ Centrifuge, State } = module.default ?? module);
    server = await Server.start(SETTINGS);
    network = await Network.start(server);
    // Couriers are named here.
    await server.command('tenant', 'acme', '--offer-mode', 'off');
    platform = await server.command('token', '--tenant', 'acme');
    const place = { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin' };
    store = await server.call(platform, 'PUT', '/v1/stores/ext/corner', place);
    driver = await newDriver('cori');
    relief = await newDriver('dana');
    count = 0;
  });
  after(async () => {
    await network?.remove();
    await server?.remove();
  });
  beforeEach(() => {
    clients = [];
    network.mend();
  });
  afterEach(() => {
    for (const { client } of clients) client.disconnect();
  });

  async function newDriver(name) {
    const person = { name: `${name} Rider`, vehicle: { type: 'scooter' }, capacity: 50 };
    const made = await server.call(platform, 'PUT', `/v1/drivers/ext/${name}`, person);
    await server.call(platform, 'PUT', `/v1/drivers/${made.id}/duty`, { duty: 'on' });
    return made;
  }

  async function placeOrder() {
    count += 1;
    return server.call(platform, 'POST', '/v1/orders', {
      external_id: `A-${count}`,
      store: store.id,
      dropoff: { name: 'Ann Lee', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41 },
      items: [{ name: 'Margherita', qty: 2 }],
    });
  }

  function act(order, action, body, token = platform) {
    return server.call(token, 'POST', `/v1/orders/${order.id}/${action}`, body);
  }

  function assign(order, { id }) {
    return server.call(platform, 'PUT', `/v1/orders/${order.id}/driver`, { driver: id });
  }

  function change(order, body) {
    return server.call(platform, 'PATCH', `/v1/orders/${order.id}`, body);
  }

  /** The order's events after a position, as the bearer of the token may see them. */
  async function log(order, token, after) {
    const target = `/v1/orders/${order.id}/events?limit=1000&after=${after}`;
    return (await server.call(token, 'GET', target)).events;
  }

  async function issue(kind, subject, more = {}) {
    const body = { kind, subject, ...more };
    return (await server.call(platform, 'POST', '/v1/tokens', body)).token;
  }

  /** A connected client and what happened to its connection. */
  function connect(options, through = network) {
    const client = new Centrifuge(through.url, { websocket: WebSocket, ...options });
    if (sdk === PROTOBUF) {
      const { rpc } = client;
      client.binary = true;
      client.rpc = async (method, data) => spoken(await rpc.call(client, method, bytes(data)));
    }
    const seen = { client, connected: [], connecting: [], disconnected: [], errors: [] };
    client.on('connected', (context) => seen.connected.push(context));
    client.on('connecting', (context) => seen.connecting.push(context));
    client.on('disconnected', (context) => seen.disconnected.push(context));
    client.on('error', (context) => seen.errors.push(context));
    clients.push(seen);
    client.connect();
    return seen;
  }

  /** A customer who watches one order. */
  async function watch(order) {
    const token = await issue('customer', 'ann', { orders: [order.id] });
    const seen = connect({ token });
    const phone = new Subscriber(seen.client, `order:${order.id}`);
    return { ...seen, token, phone, first: await phone.standing() };
  }

  /** Asserts that the phone heard what the log holds after its first snapshot, and no more. */
  async function missedNothing({ phone, token, first }, order) {
    phone.missedNothing(await log(order, token, first.streamPosition.offset));
  }

  async function refused(call, code, word = /./) {
    await assert.rejects(call, (error) => {
      assert.equal(error.code, code, JSON.stringify(error));
      assert.match(error.message, word);
      return true;
    });
  }

  test('the first subscribe brings a snapshot and its position', async () => {
    const order = await placeOrder();
    const { first } = await watch(order);
    assert.equal(first.data.order.id, order.id);
    assert.equal(first.data.order.version, 1);
    assert.deepEqual(first.data.order.steps.map((step) => step.step), ['received']);
    assert.ok(!('status' in first.data.order), 'a customer sees steps');
    assert.equal(first.positioned, true);
    assert.equal(first.recoverable, true);
    assert.equal(first.wasRecovering, false);
    const events = await server.call(platform, 'GET', `/v1/orders/${order.id}/events`);
    assert.ok(first.streamPosition.offset >= events.events.at(-1).position);
    assert.equal(first.streamPosition.epoch, events.epoch);
  });

  test('events arrive live, once and in order', async () => {
    const order = await placeOrder();
    const watching = await watch(order);
    await act(order, 'accept', { prep_min: 10 });
    await act(order, 'ready');
    await watching.phone.hears('order.ready');
    assert.deepEqual(watching.phone.types, ['order.accepted', 'order.preparing', 'order.ready']);
    await missedNothing(watching, order);
  });

  test('a lost connection comes back by itself with what was missed', async () => {
    const order = await placeOrder();
    const watching = await watch(order);
    const { phone, connecting } = watching;
    await act(order, 'accept', { prep_min: 10 });
    await phone.hears('order.preparing');

    network.sever();
    await until('the SDK notices', () => phone.subscribing.length === 2);
    await act(order, 'ready');
    await assign(order, driver);
    // The first tries to come back fail.
    await until('the SDK tries in vain', () => watching.errors.length > 0);
    network.mend();

    const again = await phone.standing(2);
    assert.equal(again.wasRecovering, true);
    assert.equal(again.recovered, true);
    assert.equal(again.data, undefined, 'no snapshot beside what was missed');
    await phone.hears('courier.assigned');
    await act(order, 'cancel', { reason: 'duplicate' });
    await phone.hears('order.cancelled');
    await missedNothing(watching, order);
    assert.equal(connecting.at(-1).code, 1, 'transport closed');
    assert.deepEqual(phone.errors, []);
    assert.deepEqual(phone.unsubscribed, []);
  });

  test('several subscriptions of one connection recover together', async () => {
    const order = await placeOrder();
    const { client } = connect({ token: platform });
    const one = new Subscriber(client, `order:${order.id}`);
    const all = new Subscriber(client, 'tenant');
    await one.standing();
    await all.standing();
    network.sever();
    const other = await placeOrder();
    await act(order, 'accept', { prep_min: 10 });
    network.mend();
    assert.equal((await one.standing(2)).recovered, true);
    assert.equal((await all.standing(2)).recovered, true);
    await all.hears('order.preparing');
    await one.hears('order.preparing');
    assert.deepEqual(one.types, ['order.accepted', 'order.preparing']);
    assert.deepEqual(all.types, ['order.placed', 'order.accepted', 'order.preparing']);
    assert.equal(all.publications[0].data.order, other.id);
    one.inOrder();
    all.inOrder();
  });

  test('who missed too much gets a snapshot instead', async () => {
    const order = await placeOrder();
    const { phone } = await watch(order);
    network.sever();
    for (let nth = 0; nth <= RECOVERY_LIMIT; nth += 1) {
      await change(order, { note: `note ${nth}` });
    }
    network.mend();
    const again = await phone.standing(2);
    assert.equal(again.wasRecovering, true);
    assert.equal(again.recovered, false);
    assert.equal(again.data.order.note, `note ${RECOVERY_LIMIT}`);
    assert.deepEqual(phone.publications, []);
    await act(order, 'accept', { prep_min: 10 });
    await phone.hears('order.preparing');
    phone.inOrder();
    assert.ok(phone.offsets[0] > again.streamPosition.offset);
  });

  test('a stop of the server says 3001, and everybody is back after it', async () => {
    const order = await placeOrder();
    const watching = await watch(order);
    const { phone, connecting } = watching;
    await act(order, 'accept', { prep_min: 10 });
    await phone.hears('order.preparing');
    const { code } = await server.end('SIGTERM');
    assert.equal(code, 0);
    await until('the SDK notices', () => connecting.length === 2);
    assert.equal(connecting[1].code, 3001);
    assert.equal(connecting[1].reason, 'shutdown');

    network.refuse();
    await server.run();
    await act(order, 'ready');
    network.mend();
    const again = await phone.standing(2);
    assert.equal(again.wasRecovering, true);
    assert.equal(again.recovered, true);
    await phone.hears('order.ready');
    await missedNothing(watching, order);
  });

  test('a process that stops leaves its clients to another on the same database', async () => {
    const order = await placeOrder();
    const other = await server.beside();
    network.lead(other);
    const watching = await watch(order);
    const { phone, connecting } = watching;
    await act(order, 'accept', { prep_min: 10 });
    await phone.hears('order.preparing');
    network.lead(server);
    assert.equal((await other.end('SIGTERM')).code, 0);
    await act(order, 'ready');
    assert.equal((await phone.standing(2)).recovered, true);
    assert.equal(connecting[1].code, 3001);
    await phone.hears('order.ready');
    await missedNothing(watching, order);
  });

  test('a killed server loses nothing that it has acknowledged', async () => {
    const order = await placeOrder();
    const watching = await watch(order);
    const { phone } = watching;
    network.refuse();
    await act(order, 'accept', { prep_min: 10 });
    const { signal } = await server.end('SIGKILL');
    assert.equal(signal, 'SIGKILL');
    await server.run();
    await act(order, 'ready');
    network.mend();
    const again = await phone.standing(2);
    assert.equal(again.wasRecovering, true);
    assert.equal(again.recovered, true);
    await phone.hears('order.ready');
    assert.deepEqual(phone.types, ['order.accepted', 'order.preparing', 'order.ready']);
    await missedNothing(watching, order);
  });

  test('a slow reader is closed with 3008 and recovers all', async () => {
    const order = await placeOrder();
    const token = await issue('ops', 'ann');
    const slowly = await Network.start(server);
    try {
      const { client, connecting } = connect({ token }, slowly);
      const slow = new Subscriber(client, `order:${order.id}`);
      await slow.standing();
      const quick = new Subscriber(connect({ token }).client, `order:${order.id}`);
      const first = await quick.standing();
      slowly.stall();
      for (let nth = 0; nth < STALLED_CHANGES; nth += 1) {
        await change(order, { meta: { nth, text: 'x'.repeat(3_900) } });
        await until('another hears it', () => quick.publications.length > nth);
      }
      assert.equal(connecting.length, 1, 'nobody has told the SDK yet');
      slowly.flow();
      const again = await slow.standing(2);
      assert.deepEqual(connecting[1], { code: 3008, reason: 'slow' });
      assert.equal(again.wasRecovering, true);
      assert.equal(again.recovered, true);
      await act(order, 'cancel', { reason: 'duplicate' });
      for (const phone of [slow, quick]) {
        await phone.hears('order.cancelled');
        await missedNothing({ phone, token, first }, order);
      }
      assert.equal(quick.subscribed.length, 1, 'others were not disturbed');
    } finally {
      await slowly.remove();
    }
  });

  test('a reassigned order leaves one courier and comes to another', async () => {
    const order = await placeOrder();
    await act(order, 'accept', { prep_min: 10 });
    const courier = async ({ id }) => {
      const { client } = connect({ token: await issue('driver', id) });
      const subscriber = new Subscriber(client, `driver:${id}`);
      await subscriber.standing();
      return { client, subscriber };
    };
    const { subscriber: former } = await courier(driver);
    const { client, subscriber: present } = await courier(relief);
    await assign(order, driver);
    await former.hears('courier.assigned');
    assert.deepEqual(present.types, []);
    await assign(order, relief);
    await former.hears('courier.changed');
    assert.deepEqual(former.publications.at(-1).data.data, {}, 'nothing of whom it went to');
    await present.hears('courier.changed');
    assert.equal(present.publications.at(-1).data.data.order.id, order.id);
    await client.rpc('order.pickup', { order: order.id });
    await present.hears('order.picked_up');
    // An order of its own comes after whatever else it might have been told.
    await assign(await placeOrder(), driver);
    await former.hears('courier.assigned');
    assert.deepEqual(former.types, ['courier.assigned', 'courier.changed', 'courier.assigned']);
    former.inOrder();
    present.inOrder();
  });

  test('a full day of an order', () =>
    fullDay({
      server,
      network,
      store,
      couriers: [driver, relief],
      recoveryLimit: RECOVERY_LIMIT,
      ...{ placeOrder, act, assign, change, log, issue, connect, refused, missedNothing },
    }));

  test('a store answers its orders over the socket it hears them on', async () => {
    const { client } = connect({ token: await issue('store', store.id) });
    const tablet = new Subscriber(client, `store:${store.id}`);
    const first = await tablet.standing();
    assert.equal(first.data.store.id, store.id);
    assert.equal(first.data.truncated, false);
    const order = await placeOrder();
    await tablet.hears('order.placed');
    assert.equal(tablet.publications.at(-1).data.data.short_code, order.short_code);
    const accept = { order: order.id, prep_min: 15 };
    const { data } = await client.rpc('order.accept', accept);
    assert.equal(data.status, 'preparing');
    await tablet.hears('order.preparing');
    // The same again is a repeat: answered, and not heard twice.
    assert.equal((await client.rpc('order.accept', accept)).data.version, data.version);
    await client.rpc('order.ready', { order: order.id });
    await tablet.hears('order.ready');
    const types = tablet.types.slice(-4);
    assert.deepEqual(types, ['order.placed', 'order.accepted', 'order.preparing', 'order.ready']);
    tablet.inOrder();
  });

  test('a refusal is an error with a code of its own', async () => {
    const { client } = connect({ token: await issue('store', store.id) });
    await client.ready();
    const order = await placeOrder();
    const it = { order: order.id };
    await client.rpc('order.reject', { ...it, reason: 'too_busy' });
    for (const [method, data, code, word] of [
      ['order.accept', { ...it, prep_min: 10 }, 1409, /^invalid_transition: /],
      ['order.ready', { ...it, if_match: 1 }, 1411, /^version_mismatch: /],
      ['order.accept', { ...it, prep_min: 'ten' }, 422, /^validation: prep_min: /],
      ['order.accept', { order: 'or_1' }, 404, /^not_found: /],
      ['order.redeliver', it, 403, /^role_not_allowed: /],
      ['order.dance', it, 104, /^method not found$/],
    ]) {
      await refused(client.rpc(method, data), code, word);
    }
  });

  test('a bad token ends it, without another try', async () => {
    const { client, disconnected, connected } = connect({ token: 'not.a.token' });
    await until('the SDK gives up', () => client.state === State.Disconnected);
    assert.deepEqual(disconnected, [{ code: 3500, reason: 'invalid token' }]);
    assert.deepEqual(connected, []);
  });

  test('an expired token is replaced by getToken', async () => {
    const expired = await issue('ops', 'ann', { ttl_s: 1 });
    const stale = async () => (await server.request(expired, 'GET', '/v1/orders')).status === 401;
    await until('the token has expired', stale);
    let asked = 0;
    const getToken = () => {
      asked += 1;
      return issue('ops', 'ann');
    };
    const { client, errors } = connect({ token: expired, getToken });
    await client.ready();
    assert.equal(asked, 1);
    assert.equal(errors[0].error.code, 109);
  });

  test('a token is refreshed before it ends, and the connection stays', async () => {
    let asked = 0;
    const getToken = () => {
      asked += 1;
      return issue('ops', 'ann', { ttl_s: asked === 1 ? 2 : 600 });
    };
    const { client, connected, connecting, errors } = connect({ getToken });
    await client.ready();
    await until('the SDK asks for another', () => asked === 2);
    await assert.rejects(client.rpc('order.dance', {}), { code: 104 });
    assert.equal(connected.length, 1);
    assert.equal(connecting.length, 1);
    assert.deepEqual(errors, []);
  });

  test('a channel of others is refused for good', async () => {
    const [own, foreign] = [await placeOrder(), await placeOrder()];
    const { client } = await watch(own);
    for (const [channel, code] of [[`order:${foreign.id}`, 103], ['tenant', 103], ['chat', 102]]) {
      const other = new Subscriber(client, channel);
      await until('the SDK is told', () => other.unsubscribed.length > 0);
      assert.equal(other.unsubscribed[0].code, code, channel);
    }
    assert.equal(client.state, State.Connected);
  });

  test('history pages through the log of a channel', async () => {
    const order = await placeOrder();
    const { phone, first } = await watch(order);
    await act(order, 'accept', { prep_min: 10 });
    await act(order, 'ready');
    await phone.hears('order.ready');
    const types = (page) => page.publications.map((publication) => publication.data.type);
    const { subscription } = phone;
    const whole = await subscription.history({ limit: -1 });
    const all = ['order.placed', 'order.accepted', 'order.preparing', 'order.ready'];
    assert.deepEqual(types(whole), all);
    assert.equal(whole.epoch, first.streamPosition.epoch);
    assert.ok(whole.offset >= whole.publications.at(-1).offset);
    const since = first.streamPosition;
    assert.deepEqual(types(await subscription.history({ limit: 2, since })), all.slice(1, 3));
    const newest = await subscription.history({ limit: 1, reverse: true });
    assert.deepEqual(types(newest), ['order.ready']);
    assert.deepEqual(types(await subscription.history({ limit: 0 })), []);
    const elsewhere = { offset: 1, epoch: 'another' };
    await assert.rejects(subscription.history({ limit: 1, since: elsewhere }), { code: 112 });
  });

  test('after an unsubscribe nothing is heard until the next subscribe recovers it', async () => {
    const order = await placeOrder();
    const watching = await watch(order);
    const { client, phone } = watching;
    phone.subscription.unsubscribe();
    assert.deepEqual(phone.unsubscribed.map(({ code }) => code), [0]);
    await act(order, 'accept', { prep_min: 10 });
    // Answered after all that was sent before.
    await assert.rejects(client.rpc('order.dance', {}), { code: 104 });
    assert.deepEqual(phone.types, []);
    phone.subscription.subscribe();
    assert.equal((await phone.standing(2)).recovered, true);
    await phone.hears('order.preparing');
    await missedNothing(watching, order);
  });

  test('a dispatcher hears the orders its filter lets through', async () => {
    const { client } = connect({ token: await issue('ops', 'ann') });
    const options = { data: { status: ['ready'] } };
    const board = new Subscriber(client, 'dispatch', options);
    const first = await board.standing();
    assert.ok(first.data.orders.every((order) => order.status === 'ready'));
    const order = await placeOrder();
    await act(order, 'accept', { prep_min: 10 });
    await act(order, 'ready');
    await board.hears('order.ready');
    assert.deepEqual(board.types, ['order.ready']);
  });
}
