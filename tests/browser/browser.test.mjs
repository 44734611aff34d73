// What a browser does by itself: a bare EventSource, and the SDK where no socket gets through.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Server, until } from '../sdk/javascript/support.mjs';
import { Chromium, Origin } from './chromium.mjs';

describe('in Chromium', { timeout: 600_000 }, () => {
  let server, origin, browser, page, platform, store, count;

  before(async () => {
    // Soon back, so that the tests are.
    server = await Server.start({
      ORDERCAST_SOCKET__SSE_RETRY_MIN_MS: '100',
      ORDERCAST_SOCKET__SSE_RETRY_MAX_MS: '300',
    });
    origin = await Origin.start(server);
    browser = await Chromium.start();
    // Couriers are named here.
    await server.command('tenant', 'acme', '--offer-mode', 'off');
    platform = await server.command('token', '--tenant', 'acme');
    const place = { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin' };
    store = await server.call(platform, 'PUT', '/v1/stores/ext/corner', place);
    count = 0;
  });
  after(async () => {
    await browser?.remove();
    await origin?.remove();
    await server?.remove();
  });
  beforeEach(async () => {
    origin.mend();
    page = await browser.open(`${origin.url}/`);
    origin.requests.length = 0;
  });
  afterEach(async () => {
    await page.close();
  });

  async function placeOrder() {
    count += 1;
    return server.call(platform, 'POST', '/v1/orders', {
      external_id: `B-${count}`,
      store: store.id,
      dropoff: { name: 'Ann Lee', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41 },
      items: [{ name: 'Margherita', qty: 2 }],
    });
  }

  function note(order, text) {
    return server.call(platform, 'PATCH', `/v1/orders/${order.id}`, { note: text });
  }

  async function issue(order, more = {}) {
    const body = { kind: 'customer', subject: 'ann', orders: [order.id], ...more };
    return (await server.call(platform, 'POST', '/v1/tokens', body)).token;
  }

  /** The events of an order after a position, as its customer may read them. */
  async function log(token, order, position) {
    const path = `/v1/orders/${order.id}/events?after=${position}`;
    return (await server.call(token, 'GET', path)).events;
  }

  /** Fetches the cookie and follows an order by nothing but an EventSource. */
  async function follow(order, token) {
    const status = await page.call(async (order, token) => {
      const headers = { authorization: `Bearer ${token}` };
      const answer = await fetch('/v1/sse/cookie', { method: 'POST', headers });
      window.snapshots = [];
      window.events = [];
      window.ends = [];
      window.source = new EventSource(`/v1/sse?channel=order:${order}`);
      const read = ({ data, lastEventId }) => ({ data: JSON.parse(data), id: lastEventId });
      window.source.addEventListener('snapshot', (event) => window.snapshots.push(read(event)));
      window.source.addEventListener('end', (event) => window.ends.push(read(event)));
      window.source.onmessage = (event) => window.events.push(read(event));
      return answer.status;
    }, order.id, token);
    assert.equal(status, 204);
    const first = await until('a snapshot came', () => page.run('window.snapshots[0]'));
    assert.equal(first.data.order.id, order.id);
    return Number(first.id.split(':').at(-1));
  }

  const events = () => page.run('window.events');
  const hears = (number) => until(`${number} events came`, async () =>
    (await events()).length >= number);

  /** Asserts that the page heard what the log holds after its first snapshot, and no more. */
  async function missedNothing(order, token, position) {
    const [heard, held] = [await events(), await log(token, order, position)];
    assert.deepEqual(heard.map((event) => event.data), held);
    assert.deepEqual(heard.map((event) => event.id.split(':').at(-1)),
      held.map((event) => String(event.position)));
    assert.equal(await page.run('window.snapshots.length'), 1, 'one snapshot, at the beginning');
  }

  test('an EventSource drops and resumes without a gap', async () => {
    const [order, other] = [await placeOrder(), await placeOrder()];
    const token = await issue(order);
    const position = await follow(order, token);
    assert.equal(await page.run('document.cookie'), '', 'no script sees the token');
    await note(order, 'first');
    await hears(1);
    let told = 1;
    for (let round = 0; round < 3; round += 1) {
      origin.sever();
      await until('it noticed', () => page.run('source.readyState === EventSource.CONNECTING'));
      await note(order, `away ${round} a`);
      await note(order, `away ${round} b`);
      origin.mend();
      told += 2;
      await hears(told);
      await note(order, `back ${round}`);
      told += 1;
      await hears(told);
    }
    await missedNothing(order, token, position);
    const [first, ...others] = origin.asked('/v1/sse');
    assert.equal(first.lastEventId, undefined);
    assert.ok(others.length >= 3 && others.every((request) => request.lastEventId));

    // What is committed elsewhere is nothing to it; the browser learns all the same where the log
    // stands by now, in a line that no script sees, and says so when it comes back another time.
    await note(other, 'elsewhere');
    await until('it knows where the log stands', async () => {
      origin.sever();
      await until('it noticed', () => page.run('source.readyState === EventSource.CONNECTING'));
      origin.mend();
      await until('it is back', () => page.run('source.readyState === EventSource.OPEN'));
      const id = origin.asked('/v1/sse').at(-1).lastEventId;
      return Number(id.split(':').at(-1)) > (await log(token, order, position)).at(-1).position;
    });
    await note(order, 'last');
    await hears(told + 1);
    await missedNothing(order, token, position);
  });

  test('an EventSource outlives a restart of the server', async () => {
    const order = await placeOrder();
    const token = await issue(order);
    const position = await follow(order, token);
    await note(order, 'before');
    await hears(1);
    await server.end('SIGTERM');
    await until('it was told', () => page.run('window.ends.length === 1'));
    await server.run();
    await note(order, 'after');
    await hears(2);
    await missedNothing(order, token, position);
  });

  test('an EventSource whose token has ended stops for good', async () => {
    const order = await placeOrder();
    await follow(order, await issue(order, { ttl_s: 2 }));
    await until('it stopped', () => page.run('source.readyState === EventSource.CLOSED'));
    assert.deepEqual(await page.run('window.ends.map((end) => end.data.code)'), [3005]);
    assert.deepEqual(origin.asked('/v1/sse').map((request) => request.status), [200, 401]);
  });

  for (const [transport, path] of
    [['http_stream', '/connection/http_stream'], ['sse', '/connection/sse']]) {
    test(`the SDK subscribes, drops and recovers by ${transport}`, async () => {
      const order = await placeOrder();
      const token = await issue(order);
      await page.call(async (transport, path, token, order) => {
        const script = document.createElement('script');
        script.src = '/centrifuge.js';
        const loaded = new Promise((resolve) => { script.onload = resolve; });
        document.head.append(script);
        await loaded;
        const { origin } = location;
        const client = new Centrifuge([{ transport, endpoint: origin + path }],
          { emulationEndpoint: `${origin}/emulation`, token });
        window.heard = { subscribed: [], publications: [], calls: [] };
        const feed = client.newSubscription(`order:${order}`);
        feed.on('subscribed', ({ recovered, wasRecovering, data, streamPosition }) =>
          heard.subscribed.push({ recovered, wasRecovering, data, streamPosition }));
        feed.on('publication', ({ data, offset }) => heard.publications.push({ data, offset }));
        feed.subscribe();
        client.connect();
        window.client = client;
      }, transport, path, token, order.id);
      const subscribed = (times) => until(`subscribed ${times} times`, async () =>
        (await page.run('heard.subscribed')).length >= times && page.run('heard.subscribed.at(-1)'));
      const publications = (times) => until(`heard ${times}`, async () => {
        const all = await page.run('heard.publications');
        return all.length >= times && all;
      });
      const first = await subscribed(1);
      assert.equal(first.data.order.id, order.id);
      await note(order, 'live');
      await publications(1);
      // A command after the first, by a request of its own, answered on the stream.
      const past = `client.history('order:${order.id}', { limit: 10 })`;
      assert.equal((await page.run(past)).publications.length, 2);
      assert.ok(origin.asked('/emulation').length > 0);

      origin.sever();
      await until('it noticed', () => page.run("client.state !== 'connected'"));
      await note(order, 'away');
      origin.mend();
      const again = await subscribed(2);
      assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
      await note(order, 'back');
      const heard = await publications(3);
      const held = await log(token, order, first.streamPosition.offset);
      assert.deepEqual(heard.map((publication) => publication.data), held);
      assert.deepEqual(heard.map((publication) => publication.offset),
        held.map((event) => event.position));
      assert.ok(origin.asked(path).length >= 2);
      await page.run('client.disconnect()');
    });
  }
});
