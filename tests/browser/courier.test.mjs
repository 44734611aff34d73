// The courier's page, as people use it: taps that come too late, orders that cannot be handed over,
// the order of stops, who is told where a courier is. An evening's order, and taps without a
// connection: tests/screens.

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Server, until } from '../sdk/javascript/support.mjs';
import { assertAccessible } from './axe.mjs';
import { Chromium, Origin } from './chromium.mjs';

describe('the courier’s page', { timeout: 600_000 }, () => {
  let server, origin, browser, page, platform, ops, store, count;
  const others = [];

  before(async () => {
    server = await Server.start({ ORDERCAST_TIMERS__POLL_INTERVAL_MS: '100' });
    origin = await Origin.start(server, { sockets: true });
    browser = await Chromium.start();
    await browser.ask('Browser.grantPermissions', { permissions: ['geolocation'] });
    // Couriers are named here.
    await server.command('tenant', 'acme', '--offer-mode', 'off');
    platform = await server.command('token', '--tenant', 'acme');
    const place = { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin', phone: '+49 30 1234567' };
    store = (await server.call(platform, 'PUT', '/v1/stores/ext/corner', place)).id;
    ops = (await server.call(platform, 'POST', '/v1/tokens', { kind: 'ops', subject: 'olaf' })).token;
    count = 0;
  });
  after(async () => {
    await browser?.remove();
    await origin?.remove();
    await server?.remove();
  });
  beforeEach(async () => {
    page = await browser.open('about:blank');
    await page.size(390, 844, { mobile: true });
    await page.ask('Emulation.setGeolocationOverride', { latitude: 52.521, longitude: 13.405, accuracy: 12 });
  });
  afterEach(async () => {
    origin.mend();
    await page.close();
  });

  async function courier() {
    count += 1;
    const body = { name: 'Cori Rossi', vehicle: { type: 'scooter' }, capacity: 9 };
    const { id } = await server.call(platform, 'PUT', `/v1/drivers/ext/d-${count}`, body);
    const { token } = await server.call(platform, 'POST', '/v1/tokens', { kind: 'driver', subject: id });
    others.push(token);
    return { id, token };
  }

  async function place(more = {}) {
    count += 1;
    const order = await server.call(platform, 'POST', '/v1/orders', {
      external_id: `C-${count}`,
      store,
      dropoff: { name: 'Ann Lee', phone: '+49 171 9998877', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41, notes: 'Ring twice' },
      items: [{ name: 'Margherita', qty: 2 }],
      ...more,
    });
    await server.call(ops, 'POST', `/v1/orders/${order.id}/accept`, { prep_min: 10 });
    return { id: order.id, code: order.short_code, pin: order.pin, path: `/v1/orders/${order.id}` };
  }

  const assign = ({ path: order }, { id }) => server.call(ops, 'PUT', `${order}/driver`, { driver: id });
  const see = (order) => server.call(ops, 'GET', order.path);

  /** Opens the page for a courier, whose shift has begun. */
  async function begin(who) {
    await page.ask('Page.navigate', { url: `${origin.url}/courier#token=${who.token}` });
    await page.until('it is live', "document.getElementById('light')?.dataset.state === 'live'");
    assert.equal(await page.run('location.hash'), '', 'the token is not left in the address');
    if (!await page.run("document.querySelector('#duty [value=on]').checked")) {
      await page.click('#duty [value=on]');
    }
    await until('on duty', async () =>
      (await server.call(who.token, 'GET', `/v1/drivers/${who.id}`)).duty === 'on');
  }

  const next = (words) => page.until(`next is ${words}`,
    `!document.getElementById('dock').hidden && document.getElementById('next').textContent === ${JSON.stringify(words)}`);

  /** Presses the big button, once it says this. */
  async function press(words) {
    await next(words);
    await page.click('#next');
    // A second press within a moment of the last is none; then it is pressed again.
    await until('it was heard', async () => {
      const heard = await page.run(`document.getElementById('next').textContent !== ${JSON.stringify(words)}
        || document.getElementById('dock').hidden || document.getElementById('proof').open`);
      if (!heard) await page.run("document.getElementById('next').click()");
      return heard;
    });
  }

  test('a tap that comes too late is said, and the order is gone', async () => {
    const [cori, bo] = [await courier(), await courier()];
    await begin(cori);
    await server.call(bo.token, 'PUT', '/v1/drivers/me/duty', { duty: 'on' });
    const order = await place();
    await assign(order, cori);
    await next('I’m at the store');
    origin.sever();
    await page.until('it noticed', "document.getElementById('light').dataset.state === 'waiting'");
    await press('I’m at the store');
    await assign(order, bo);
    origin.mend();
    await page.run("dispatchEvent(new Event('online'))");
    await page.until('it is said', "document.getElementById('refused').textContent.includes('not yours any more')");
    await page.until('nothing is left', "document.getElementById('dock').hidden");
    assert.equal((await see(order)).leg, 'assigned');
    await assertAccessible(page, 'what was not done');
    await page.click('#refused button');
  });

  test('an order that cannot be handed over goes back with its reason', async () => {
    const cori = await courier();
    await begin(cori);
    const order = await place({ undeliverable_action: 'return' });
    await assign(order, cori);
    await press('I’m at the store');
    await press('Picked up');
    await press('I’m at the door');
    await next('Delivered');
    await page.click('#trouble');
    await page.until('it is asked why', "document.getElementById('problem').open");
    assert.ok(await page.run("document.querySelector('#reasons [value=no_answer]').disabled"), 'too soon for that');
    await assertAccessible(page, 'a problem');
    await page.click('#reasons label:has([value=refused]) span');
    await page.click('#problem-yes');
    await press('Brought back');
    const end = await until('it is back', async () => {
      const seen = await see(order);
      return seen.status === 'returned' && seen;
    });
    assert.equal(end.reason.code, 'refused');
  });

  test('another stop can be done first, and those who wait are told', async () => {
    const cori = await courier();
    await begin(cori);
    const [first, second] = [await place(), await place()];
    for (const order of [first, second]) {
      await assign(order, cori);
      await server.call(cori.token, 'POST', `${order.path}/pickup`, {});
    }
    await page.until('two stops', "document.querySelectorAll('#stops li').length === 1");
    await page.until('the first is next', `document.getElementById('next').dataset.order === '${first.id}'`);
    await page.click('#stops button');
    await page.until('the second is next', `document.getElementById('next').dataset.order === '${second.id}'`);
    assert.equal((await see(first)).stops_before, 1);
    assert.equal((await see(second)).stop_seq, 1);
  });

  test('it tells where it is while one works, and not after', async () => {
    for (const token of others) await server.call(token, 'PUT', '/v1/drivers/me/duty', { duty: 'off' });
    const cori = await courier();
    await begin(cori);
    await page.until('it is shared', "document.getElementById('place').dataset.state === 'on'");
    const order = await place();
    // Who is near, and how far, the server knows by where the phone said it is, once it is told.
    await until('it is told', async () => {
      const { drivers } = await server.call(ops, 'GET', '/v1/drivers?near=52.52,13.4');
      return drivers.some(({ id }) => id === cori.id);
    });
    await server.call(ops, 'POST', `${order.path}/offers`, {});
    await page.until('it is asked', "document.getElementById('offer').open");
    assert.match(await page.run("document.getElementById('offer-near').textContent"), /m$/);
    await page.click('#offer-no');
    await page.until('it is put away', "!document.getElementById('offer').open");
    await page.click('#duty [value=off]');
    await page.until('it is off', "document.getElementById('place').hidden && document.getElementById('idle').dataset.duty === 'off'");
    // Who signs out leaves nothing on the page, and is not asked any more.
    await page.click('#duty [value=on]');
    await page.until('it is shared again', "document.getElementById('place').dataset.state === 'on'");
    await page.click('#forget');
    await page.until('it is put away', "document.getElementById('place').hidden && !document.getElementById('entry').hidden");
    assert.ok(!(await page.run('document.body.innerText')).includes('Waiting for orders'));
  });
});
