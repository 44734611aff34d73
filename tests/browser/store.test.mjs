// The store's tablet: is answered by hand and by keyboard, lets nobody miss what was called off,
// hands over, pauses. That it rings until somebody answers, and loses no tap: tests/screens.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Server, until } from '../sdk/javascript/support.mjs';
import { assertAccessible } from './axe.mjs';
import { Chromium, Origin } from './chromium.mjs';

const CORNER = { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin', default_prep_min: 15 };
const DOOR = { name: 'Ann Lee', phone: '+49 30 1234567', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41 };
const ITEMS = [{ name: 'Margherita', qty: 2 }];

describe('the store tablet', { timeout: 600_000 }, () => {
  let server, origin, browser, platform, store, token, ops, count;
  let pages = [];

  before(async () => {
    server = await Server.start({ ORDERCAST_TIMERS__POLL_INTERVAL_MS: '100' });
    origin = await Origin.start(server, { sockets: true });
    browser = await Chromium.start();
    // Couriers are named here.
    await server.command('tenant', 'acme', '--offer-mode', 'off');
    platform = await server.command('token', '--tenant', 'acme');
    ops = await issue('ops', 'dora');
    count = 0;
  });
  after(async () => {
    await browser?.remove();
    await origin?.remove();
    await server?.remove();
  });
  beforeEach(async () => {
    origin.mend();
    count += 1;
    store = (await call(platform, 'PUT', `/v1/stores/ext/s-${count}`, CORNER)).id;
    token = await issue('store', store);
  });
  afterEach(async () => {
    for (const page of pages) await page.close();
    pages = [];
  });

  const call = (...args) => server.call(...args);
  const issue = async (kind, subject) => (await call(platform, 'POST', '/v1/tokens', { kind, subject })).token;
  const act = (who, order, action, body = {}) => call(who, 'POST', `/v1/orders/${order.id}/${action}`, body);
  const read = (order) => call(platform, 'GET', `/v1/orders/${order.id}`);

  async function place(more = {}) {
    count += 1;
    const body = { external_id: `T-${count}`, store, dropoff: DOOR, items: ITEMS, ...more };
    return call(platform, 'POST', '/v1/orders', body);
  }

  /** An order that is being cooked. */
  async function cooking(more = {}) {
    const order = await place(more);
    return act(token, order, 'accept', { prep_min: 15 });
  }

  async function courier() {
    count += 1;
    const body = { name: 'Cori Rider', vehicle: { type: 'scooter', colour: 'red' }, capacity: 5 };
    const { id } = await call(platform, 'PUT', `/v1/drivers/ext/d-${count}`, body);
    const driver = { id, token: await issue('driver', id) };
    await call(driver.token, 'PUT', '/v1/drivers/me/duty', { duty: 'on' });
    return driver;
  }

  /** A tablet of its own: its browser keeps nothing of another's. */
  async function tablet(as = token) {
    const page = await browser.open(`${origin.url}/store`, await browser.person());
    pages.push(page);
    await page.size(1024, 768);
    await page.run(`location.hash = 'token=${as}'`);
    return page;
  }

  const LIVE = "document.getElementById('light').dataset.state === 'live' && 'loaded' in document.body.dataset";
  const RINGS = "document.getElementById('call').open";
  const shows = (page, id) => page.run(`document.getElementById('${id}').textContent`);
  const lane = (page, name) => page.run(
    `[...document.querySelectorAll('#${name} .code')].map((code) => code.textContent.replace('✓ ', ''))`);
  const inLane = (page, name, order) => until(`${order.short_code} is in ${name}`, async () =>
    (await lane(page, name)).includes(order.short_code));

  test('an order is rejected with a reason, and not without', async () => {
    const page = await tablet();
    const order = await place();
    await page.until('it rings', RINGS);
    await page.click('#call-reject');
    await assertAccessible(page, 'the reasons');
    await page.click('#call-why button');
    assert.equal((await read(order)).status, 'placed');
    await page.run("[...document.querySelectorAll('#call-reasons input')].find(({ value }) => value === 'other').click()");
    await page.click('#call-why button');
    assert.equal((await read(order)).status, 'placed', 'something else needs a note');
    await page.run("document.getElementById('call-remark').focus()");
    await page.type('The oven is broken');
    await page.press('Enter');
    await page.until('it is silent', `!${RINGS}`);
    const { status, reason } = await until('it is rejected', async () => {
      const now = await read(order);
      return now.status === 'rejected' && now;
    });
    assert.deepEqual([status, reason.code, reason.note], ['rejected', 'other', 'The oven is broken']);
  });

  test('it is worked by keyboard alone, and Escape does not answer', async () => {
    const page = await tablet();
    const order = await place();
    await page.until('it rings', RINGS);
    await page.press('Escape');
    await page.until('it is put away', `!${RINGS}`);
    await page.until('it still rings', "!document.getElementById('ringing').hidden");
    assert.equal((await read(order)).status, 'placed');
    const other = await place();
    await page.until('a newer one comes to the front', RINGS);
    await page.press('Enter');
    await until('the first is answered', async () => (await read(order)).status === 'preparing');
    await page.until('the other is asked', `document.getElementById('call-code').textContent === '${other.short_code}'`);
    await page.press('Enter');
    await until('both are answered', async () => (await read(other)).status === 'preparing');
    await page.until('it is silent', `!${RINGS}`);
    await inLane(page, 'preparing', order);
    await page.run("document.querySelector('#preparing .code').focus()");
    await page.press('Enter');
    await page.until('the order is open', "document.getElementById('detail').open");
    await assertAccessible(page, 'one order in full');
    await page.press('Escape');
    await page.run("document.querySelector('#preparing .next').focus()");
    await page.press('Enter');
    await inLane(page, 'ready', order);
  });

  test('what was answered does not ring once more while its event is on its way', async () => {
    const page = await browser.open('about:blank', await browser.person());
    pages.push(page);
    await page.ask('Page.enable');
    // Answers come through; what is pushed waits, once `held` is a list.
    await page.ask('Page.addScriptToEvaluateOnNewDocument', { source: `window.WebSocket = class extends WebSocket {
      set onmessage(hear) {
        super.onmessage = ({ data }) => hear({ data: data.split('\\n').filter((line) =>
          !(window.held && JSON.parse(line).push && window.held.push(line))).join('\\n') });
        window.release = () => hear({ data: window.held.splice(0).join('\\n') });
      }
    };` });
    await page.ask('Page.navigate', { url: `${origin.url}/store#token=${token}` });
    const order = await place();
    await page.until('it rings', RINGS);
    await page.run('window.held = []');
    await page.press('Enter');
    await page.until('the tap was answered', "localStorage.getItem('ordercast.store.taps') === '[]'");
    await page.until('its event came', 'window.held.length > 0');
    await page.run('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
    assert.equal(await page.run(RINGS), false);
    assert.deepEqual(await lane(page, 'preparing'), [order.short_code]);
    await page.run('window.release()');
    await page.run('new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))');
    assert.deepEqual(await lane(page, 'preparing'), [order.short_code]);
  });

  test('an order that is called off while it is cooked is to be put away by hand', async () => {
    const page = await tablet();
    const [one, two] = [await cooking(), await cooking()];
    await inLane(page, 'preparing', one);
    await inLane(page, 'preparing', two);
    await act(ops, one, 'cancel', { reason: 'customer_request' });
    await page.until('it is told', "document.querySelectorAll('.alert').length === 1");
    assert.match(await shows(page, 'alarm'), new RegExp(`${one.short_code} is cancelled`));
    assert.match(await shows(page, 'alerts'), /by dispatch. The customer changed their mind/);
    assert.deepEqual(await lane(page, 'preparing'), [two.short_code]);
    await assertAccessible(page, 'an order that is called off');

    // One that is called off while nobody here can hear it is not just gone.
    origin.sever();
    await page.until('it noticed', "document.getElementById('light').dataset.state === 'waiting'");
    await act(ops, two, 'cancel', { reason: 'duplicate' });
    origin.mend();
    await page.reload();
    await page.until('both are told', "document.querySelectorAll('.alert').length === 2");
    await page.click('.alert button');
    await page.click('.alert button');
    await page.until('both are put away', "document.querySelectorAll('.alert').length === 0");
    await page.reload();
    await page.until('it is live', LIVE);
    assert.equal(await page.run("document.querySelectorAll('.alert').length"), 0);
  });

  test('a courier who is there is told, and when dispatch wants another time', async () => {
    const [page, cori] = [await tablet(), await courier()];
    const order = await cooking();
    await call(ops, 'PUT', `/v1/orders/${order.id}/driver`, { driver: cori.id });
    await page.until('the courier is shown', "document.querySelector('#couriers strong')?.textContent === 'Cori R.'");
    await act(cori.token, order, 'at_store');
    await act(token, order, 'ready');
    await page.until('bring it out', "document.querySelector('#ready .carrier')?.textContent.includes('bring it out')");
    assert.match(await shows(page, 'announce'), /Cori R. is here for/);
    await assertAccessible(page, 'a courier at the store');
    await act(cori.token, order, 'pickup');
    await inLane(page, 'courier', order);
    await act(cori.token, order, 'deliver');
    await page.until('it leaves', "document.querySelectorAll('.slipcard').length === 0");

    const other = await cooking();
    await inLane(page, 'preparing', other);
    await call(ops, 'PUT', `/v1/orders/${other.id}/prep`, { prep_min: 40, why: 'courier late' });
    await page.until('it is told', "document.querySelector('.alert')?.textContent.includes('another time')");
  });

  test('how far a courier is, is told while it is fresh', async () => {
    const [page, cori] = [await tablet(), await courier()];
    const order = await cooking();
    await call(ops, 'PUT', `/v1/orders/${order.id}/driver`, { driver: cori.id });
    await page.until('the courier is shown', "document.querySelector('#couriers strong')?.textContent === 'Cori R.'");
    // As the server says it, by hand: the socket is found by what it says next.
    await page.run(`(() => {
      const { send } = WebSocket.prototype;
      WebSocket.prototype.send = function (text) {
        window.socket = this;
        return send.call(this, text);
      };
      dispatchEvent(new Event('online'));
    })()`);
    await page.until('there is a socket', "'socket' in window");
    const hear = (lat, age) => page.call((channel, driver, lat, at) => {
      const data = { v: 1, type: 'driver.location', at, data: { driver, n: 1, at, lat, lng: 13.4 } };
      window.socket.onmessage({ data: JSON.stringify({ push: { channel, pub: { data } } }) });
    }, `store:${store}`, cori.id, lat, new Date(Date.now() - age).toISOString());
    const badge = "document.querySelector('#couriers .badge').textContent";
    await hear(52.525, 0);
    await page.until('it is half a kilometre away', `${badge}.includes('560 m')`);
    await hear(52.53, 10_000);
    assert.match(await page.run(badge), /560 m/, 'an older place changes nothing');
    await hear(52.5227, 0);
    await page.until('it is nearer', `${badge}.includes('300 m')`);
  });

  test('the store changes its mind: more time, not ready after all, not at all', async () => {
    const page = await tablet();
    const order = await cooking();
    await inLane(page, 'preparing', order);
    const open = async (lane) => {
      await page.click(`#${lane} .code`);
      await page.until('the order is open', "document.getElementById('detail').open");
    };
    await open('preparing');
    await page.click('#detail [data-more="10"]');
    const later = await until('it takes longer', async () => {
      const now = await read(order);
      return now.prep_min > 15 && now;
    });
    assert.ok([24, 25].includes(later.prep_min), `${later.prep_min} minutes from now`);
    await page.until('it is shown', "!document.querySelector('#detail-actions button').disabled");
    await page.click('#detail-actions .big');
    await inLane(page, 'ready', order);
    await open('ready');
    await page.click('#detail-actions .second');
    await inLane(page, 'preparing', order);
    await open('preparing');
    await page.click('#detail-actions .danger');
    await assertAccessible(page, 'the reasons to cancel');
    await page.click('#detail-reasons input');
    await page.click('#detail-why .sure');
    await page.until('it leaves', "document.querySelectorAll('.slipcard').length === 0");
    assert.equal((await read(order)).reason.code, 'too_busy');
    assert.equal(await page.run("document.querySelectorAll('.alert').length"), 0, 'it was its own doing');
  });

  test('an order that is collected is handed over for its code', async () => {
    const page = await tablet();
    const order = await cooking({ fulfilment: 'collection', dropoff: null, proof_required: { pin: true } });
    await act(token, order, 'ready');
    await inLane(page, 'ready', order);
    const asking = { kind: 'customer', subject: 'ann', orders: [order.id] };
    const customer = (await call(platform, 'POST', '/v1/tokens', asking)).token;
    const { pin } = await call(customer, 'GET', `/v1/orders/${order.id}`);
    const wrong = pin === '0000' ? '1111' : '0000';
    const give = async (digits) => {
      await page.click('#ready .next');
      await page.until('it asks for the code', "document.getElementById('detail').open");
      await page.run("document.getElementById('detail-digits').focus()");
      await page.type(digits);
      await page.press('Enter');
    };
    await give(wrong);
    await page.until('the code is not right', "document.querySelector('.alert')?.textContent.includes('not right')");
    await page.click('.alert button');
    await give(pin);
    await page.until('it leaves', "document.querySelectorAll('.slipcard').length === 0");
    assert.equal((await read(order)).status, 'delivered');
  });

  test('a scheduled order shows its day, and is accepted early', async () => {
    const page = await tablet();
    const window = { from: '2099-03-02T18:00:00Z', to: '2099-03-02T18:30:00Z' };
    const order = await place({ window });
    await inLane(page, 'scheduled', order);
    assert.match(await page.run("document.querySelector('#scheduled .when').textContent"), /Mon.*Mar 2/);
    await page.click('#scheduled .next');
    await page.until('it is accepted', "document.querySelector('#scheduled .badge')?.textContent.includes('Accepted')");
    assert.equal((await read(order)).status, 'accepted');
  });

  test('it pauses and opens again', async () => {
    const page = await tablet();
    await page.until('it is live', LIVE);
    await page.click('#pause');
    await page.until('it asks for how long', "document.getElementById('pausing').open");
    await assertAccessible(page, 'the question for how long');
    await page.click('#pausing .sure');
    await page.until('it is paused', "!document.getElementById('paused').hidden");
    assert.ok((await call(platform, 'GET', `/v1/stores/${store}`)).paused_until);
    await assertAccessible(page, 'a paused store');
    await page.click('#resume');
    await page.until('it is open', "document.getElementById('paused').hidden");
    assert.equal((await call(platform, 'GET', `/v1/stores/${store}`)).paused_until, undefined);
  });

  test('a store where nobody answers pauses itself', async () => {
    await server.command('tenant', 'acme', '--accept-s', '10');
    try {
      const [page, second] = [await tablet(), await tablet()];
      await page.until('it is live', LIVE);
      await second.until('it is live', LIVE);
      for (let nth = 0; nth < 3; nth += 1) await place();
      await page.until('it rings', RINGS);
      await page.until('time runs out', "document.getElementById('call').classList.contains('hurry')");
      await assertAccessible(page, 'a call that runs out of time');
      await page.until('it is paused', "!document.getElementById('paused').hidden");
      assert.match(await shows(page, 'paused'), /Paused by itself.*3 orders were not answered/s);
      assert.equal(await page.run(RINGS), false);
      const { events } = await call(platform, 'GET', '/v1/events?limit=100&types=store.paused');
      assert.equal(events.filter((event) => event.store === store).length, 1, 'two tablets, one pause');
    } finally {
      await server.command('tenant', 'acme', '--accept-s', '480');
    }
  });

  test('a token that is revoked while the tablet is open ends it', async () => {
    const made = await call(platform, 'POST', '/v1/tokens', { kind: 'store', subject: store });
    const page = await tablet(made.token);
    await cooking();
    await page.until('it is live', LIVE);
    const answer = await fetch(`http://127.0.0.1:${server.port}/v1/tokens/${made.id}`,
      { method: 'DELETE', headers: { authorization: `Bearer ${platform}` } });
    assert.equal(answer.status, 204);
    await page.until('it asks for another', "!document.getElementById('entry').hidden");
    assert.equal(await shows(page, 'entry-note'), 'This token is not valid here.');
    await assertAccessible(page, 'a tablet whose token has ended');
  });

  test('whoever signs out is not called, and another store sees nothing of the first', async () => {
    const page = await tablet();
    const order = await cooking();
    await inLane(page, 'preparing', order);
    await act(ops, order, 'cancel', { reason: 'duplicate' });
    await page.until('it is told', "document.querySelectorAll('.alert').length === 1");
    await place();
    await page.until('it rings', RINGS);
    await page.click('#call-later');
    await page.click('#forget');
    await page.until('it asks for a token', "!document.getElementById('entry').hidden");
    await page.until('it is silent', "document.getElementById('ringing').hidden");
    const other = (await call(platform, 'PUT', `/v1/stores/ext/o-${count}`, { ...CORNER, name: 'Other' })).id;
    await page.run("document.getElementById('entry-token').focus()");
    await page.type(`${origin.url}/store#token=${await issue('store', other)}`);
    await page.press('Enter');
    await page.until('it is the other', "document.getElementById('name').textContent === 'Other'");
    assert.equal(await page.run("document.querySelectorAll('.alert, .slipcard').length"), 0);
    assert.equal(await page.run(RINGS), false);
  });

  test('the sound is asked for, and turned off on this tablet alone', async () => {
    const page = await tablet();
    await page.until('it is live', LIVE);
    await page.until('it says that it is silent', "!document.getElementById('mute').hidden");
    await page.click('#unmute');
    await page.until('it is on', "document.getElementById('sound').dataset.state === 'on'");
    assert.equal(await page.run("document.getElementById('mute').hidden"), true);
    await page.click('#sound');
    await page.until('it is off', "document.getElementById('sound').dataset.state === 'muted'");
    await page.reload();
    await page.until('it is off still', "document.getElementById('sound').dataset.state === 'muted'");
  });

  for (const [what, width, height, features] of [
    ['on a phone', 390, 844, {}],
    ['at 320 pixels, in the dark', 320, 640, { 'prefers-color-scheme': 'dark' }],
    ['on a tablet held upright, in the dark', 768, 1024, { 'prefers-color-scheme': 'dark' }],
  ]) {
    test(`it is readable ${what}, and nothing stands out at the side`, async () => {
      const page = await tablet();
      await page.size(width, height, { mobile: width < 600 });
      await page.prefer(features);
      const order = await cooking({ note: 'Leave it with the porter, who is called Bartholomew-Alexander' });
      await inLane(page, 'preparing', order);
      const fits = 'document.documentElement.scrollWidth <= innerWidth';
      assert.ok(await page.run(fits));
      await assertAccessible(page, what);
      // What is pressed is as large as a finger.
      const small = await page.run(`[...document.querySelectorAll('button, input')].filter((part) => {
        const { width, height } = part.getBoundingClientRect();
        return width > 0 && !part.matches('.code') && (width < 44 || height < 44);
      }).map((part) => part.outerHTML)`);
      assert.deepEqual(small, []);
      await place();
      await page.until('it rings', RINGS);
      const { bottom, top } = await page.run(`(() => {
        const { bottom, top } = document.getElementById('call-accept').getBoundingClientRect();
        return { bottom, top };
      })()`);
      assert.ok(top > 0 && bottom <= height, `Accept is in sight: ${top} to ${bottom} of ${height}`);
      await assertAccessible(page, `a call ${what}`);
    });
  }
});
