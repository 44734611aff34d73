// The page of a tracking link, as people use it: read without a script, followed while it is open,
// and with a network that fails. From the order to the photo, and revoked: tests/screens.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';

import { Server, until } from '../sdk/javascript/support.mjs';
import { assertAccessible } from './axe.mjs';
import { Chromium, Origin } from './chromium.mjs';

/** Bytes of the page and all that it loads before there is a map. */
const WEIGHT_MAX = 100_000;
/** What a map takes, on top. */
const MAP = /\/(map|markers|reel|tiles)\.js$/;

describe('the page of a tracking link', { timeout: 600_000 }, () => {
  let server, open, closed, browser, page, platform, ops, store, count;

  before(async () => {
    server = await Server.start({ ORDERCAST_TIMERS__POLL_INTERVAL_MS: '100' });
    // One network with sockets, and one that lets none through.
    open = await Origin.start(server, { sockets: true });
    closed = await Origin.start(server);
    browser = await Chromium.start();
    platform = await server.command('token', '--tenant', 'acme');
    const place = { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin', phone: '+49 30 1234567' };
    store = (await server.call(platform, 'PUT', '/v1/stores/ext/corner', place)).id;
    ops = (await server.call(platform, 'POST', '/v1/tokens', { kind: 'ops', subject: 'olaf' })).token;
    count = 0;
  });
  after(async () => {
    await browser?.remove();
    await open?.remove();
    await closed?.remove();
    await server?.remove();
  });
  afterEach(async () => {
    open.mend();
    await page?.close();
    page = null;
  });

  const act = (order, action, body = {}, token = ops) =>
    server.call(token, 'POST', `/v1/orders/${order.id}/${action}`, body);

  async function place(more = {}) {
    count += 1;
    const order = await server.call(platform, 'POST', '/v1/orders', {
      external_id: `T-${count}`,
      store,
      dropoff: { name: 'Ann Lee', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41, notes: 'code 4711' },
      items: [{ name: 'Margherita', qty: 2 }],
      ...more,
    });
    const link = await server.call(platform, 'POST', `/v1/orders/${order.id}/links`, {});
    return { id: order.id, url: link.url, link: link.id, path: `/v1/orders/${order.id}` };
  }

  async function courier() {
    count += 1;
    const body = { name: 'Cori Rossi', phone: '+49 170 5551234', vehicle: { type: 'scooter', colour: 'red' }, capacity: 9 };
    const { id } = await server.call(platform, 'PUT', `/v1/drivers/ext/d-${count}`, body);
    const { token } = await server.call(platform, 'POST', '/v1/tokens', { kind: 'driver', subject: id });
    await server.call(token, 'PUT', '/v1/drivers/me/duty', { duty: 'on' });
    return { id, token };
  }

  const assign = (order, { id }) => server.call(ops, 'PUT', `${order.path}/driver`, { driver: id });

  /** What is to be read on the page. */
  const text = () => page.run("document.getElementById('track').innerText");
  const head = (words) => page.until(`it says ${words}`,
    `document.getElementById('now')?.textContent === ${JSON.stringify(words)}`);
  const live = () => page.until('it is live', 
    "document.body?.dataset.loaded && document.getElementById('light').dataset.state === 'live'");
  const steps = () => page.run(
    "[...document.querySelectorAll('#steps li')].map((step) => [step.dataset.step, step.dataset.state])");
  const isShown = (id) => page.run(`!document.getElementById('${id}').hidden`);

  test('it is read at once and whole, without a script and on the smallest phone', async () => {
    const cori = await courier();
    const order = await place({ proof_required: { pin: true } });
    await act(order, 'accept', { prep_min: 5 });
    await assign(order, cori);
    await act(order, 'pickup', {}, cori.token);
    page = await browser.open('about:blank');
    await page.ask('Emulation.setScriptExecutionDisabled', { value: true });
    await page.size(320, 568, { mobile: true });
    await page.ask('Page.navigate', { url: open.url + order.url });
    await page.until('it is there',
      "document.readyState === 'complete' && document.getElementById('now')?.textContent === 'On the way'");
    const words = await text();
    for (const word of ['Arrives', 'Cori R.', 'red scooter', 'Elm St 1', '2 × Margherita', 'Your PIN']) {
      assert.ok(words.includes(word), `${word} in ${words}`);
    }
    assert.ok(!words.includes('4711') && !words.includes('Berlin'), words);
    assert.match(words, /\b\d{4}\b/);
    assert.deepEqual(await steps(), [['received', 'done'], ['preparing', 'done'],
      ['on_the_way', 'here'], ['arriving', 'ahead'], ['delivered', 'ahead']]);
    assert.equal(await page.run('document.documentElement.scrollWidth'), 320, 'nothing sticks out');
    // It comes again by itself, as nothing else would keep it true.
    assert.match(await page.run('document.head.innerHTML'), /<noscript><meta http-equiv="refresh"/);
  });

  test('what it loads before there is a map is light, ours, and allowed', async () => {
    const order = await place();
    page = await browser.open(open.url + order.url);
    await live();
    const loaded = await page.run(`performance.getEntriesByType('resource')
      .concat(performance.getEntriesByType('navigation'))
      .map(({ name, decodedBodySize }) => [name, decodedBodySize])`);
    assert.ok(loaded.every(([name]) => name.startsWith(open.url)), String(loaded));
    assert.ok(!loaded.some(([name]) => MAP.test(name)), 'no map is loaded before one is shown');
    const weight = loaded.reduce((sum, [, size]) => sum + size, 0);
    assert.ok(weight > 10_000 && weight < WEIGHT_MAX, `${weight} bytes: ${loaded.join(' ')}`);
  });

  test('the courier is where it last said, in words and on the map, and never goes back', async () => {
    const cori = await courier();
    const order = await place();
    await act(order, 'accept', { prep_min: 5 });
    await assign(order, cori);
    page = await browser.open('about:blank');
    await page.ask('Page.enable');
    // Keeps the page's sockets, so that something can be said on them.
    await page.ask('Page.addScriptToEvaluateOnNewDocument', { source: `window.WebSocket = class extends WebSocket {
      constructor(...given) { super(...given); window.socket = this; }
    };` });
    await page.ask('Page.navigate', { url: open.url + order.url });
    await live();
    const hear = (lat, lng, seconds, n) => page.call((channel, data) => {
      window.socket.onmessage({ data: JSON.stringify({ push: { channel, pub: { data } } }) });
    }, `order:${order.id}`, {
      v: 1, type: 'driver.location', order: order.id, at: new Date().toISOString(),
      data: { n, at: new Date(Date.now() - seconds * 1_000).toISOString(), lat, lng, acc: 10, hdg: 90 },
    });
    const twin = (words) => page.until(`it is ${words}`,
      `document.getElementById('twin').textContent.startsWith(${JSON.stringify(words)})`);
    await hear(52.521, 13.4, 5, 1);
    assert.equal(await isShown('where'), false, 'whatever is heard before the pick-up is not shown');
    await act(order, 'pickup', {}, cori.token);
    // What was heard before may be shown now, or nothing until more is heard.
    await until('there is a map', () => isShown('where'));
    await live();
    await hear(52.525, 13.405, 2, 2);
    await twin('650 m away, about');
    await hear(52.53, 13.409, 0, 3);
    await twin('70 m away, about');
    await hear(52.525, 13.405, 4, 4);
    assert.match(await text(), /70 m away/, 'an older one is not shown');
    assert.ok(!(await page.run("document.getElementById('announce').textContent")).includes('away'), 'nor read out');
    await act(order, 'deliver', {}, cori.token);
    await head('Delivered');
    assert.equal(await isShown('where'), false);
  });

  test('other stops come first, in words and without a map', async () => {
    const cori = await courier();
    const [first, second] = [await place(), await place()];
    for (const order of [first, second]) {
      await act(order, 'accept', { prep_min: 5 });
      await assign(order, cori);
    }
    await server.call(cori.token, 'PUT', '/v1/drivers/me/route', { orders: [first.id, second.id] });
    for (const order of [first, second]) await act(order, 'pickup', {}, cori.token);
    page = await browser.open(open.url + second.url);
    await live();
    await page.until('it says so', "document.getElementById('note').textContent.includes('1 stop before yours')");
    assert.equal(await isShown('where'), false);
    await act(first, 'deliver', {}, cori.token);
    await page.until('it is next', "!document.getElementById('where').hidden");
    assert.ok(!(await text()).includes('stop before yours'));
  });

  test('a later arrival is said once, with why', async () => {
    const order = await place();
    const cori = await courier();
    await act(order, 'accept', { prep_min: 20 });
    await assign(order, cori);
    const eta = (minutes) => ({ dropoff_eta: new Date(Date.now() + minutes * 60_000).toISOString() });
    await server.call(platform, 'PUT', `${order.path}/eta`, eta(30));
    page = await browser.open(open.url + order.url);
    await live();
    const shown = "document.getElementById('time').textContent";
    const was = await page.run(shown);
    assert.equal(await isShown('slip'), false);
    await server.call(platform, 'PUT', `${order.path}/eta`, eta(60));
    await page.until('it says so', "document.getElementById('slip').textContent.startsWith('Later than planned')");
    assert.ok((await page.run("document.getElementById('slip').textContent")).includes(was));
    assert.notEqual(await page.run(shown), was);
    await page.until('it is said', "document.getElementById('announce').textContent.includes('Later than planned')");
    // A second visit goes by the new promise, and so does nothing say it again.
    await page.reload();
    await live();
    assert.equal(await isShown('slip'), false);
  });

  test('where no socket gets through it asks', async () => {
    const order = await place();
    page = await browser.open(closed.url + order.url);
    await until('it asked', () => closed.asked(`/v1/track/${order.url.split('/').at(-1)}`).length > 0);
    await act(order, 'accept', { prep_min: 20 });
    await head('Preparing your order');
    assert.notEqual(await page.run("document.getElementById('light').dataset.state"), 'live');
  });

  test('a network that fails is said, and what was missed is there when it is back', async () => {
    const order = await place();
    page = await browser.open(open.url + order.url);
    await live();
    open.sever();
    await page.until('it noticed', "document.getElementById('light').dataset.state !== 'live'");
    await act(order, 'accept', { prep_min: 20 });
    await act(order, 'cancel', { reason: 'store_problem' });
    assert.equal(await page.run("document.getElementById('now').textContent"), 'Order received', 'it stays');
    open.mend();
    await page.run("dispatchEvent(new Event('online'))");
    await head('Cancelled');
    assert.match(await text(), /The store had a problem\./);
    assert.deepEqual((await steps()).map(([step]) => step), ['received', 'preparing', 'cancelled']);
    await assertAccessible(page, 'cancelled');
  });
});
