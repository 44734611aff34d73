// The dispatch board in Chromium: what it shows, assigning by drag and by keyboard, refusals, alarms,
// the past of an order; and whether everybody can use it. Thousands of couriers: tests/screens.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';

import { Server, until } from '../sdk/javascript/support.mjs';
import { assertAccessible } from './axe.mjs';
import { Chromium, Origin } from './chromium.mjs';

const STORES = [
  { name: 'Pizza Corner', lat: 52.52, lng: 13.4, tz: 'Europe/Berlin' },
  { name: 'Sushi Mori', lat: 52.507, lng: 13.3225, tz: 'Europe/Berlin' },
];
const DOOR = { name: 'Ann Lee', address: 'Elm St 1, Berlin', lat: 52.53, lng: 13.41 };

const lane = (column) => `.lane[data-column="${column}"]`;
const ticket = ({ id }) => `.ticket[data-id="${id}"] button`;
const mate = ({ id }) => `.mate[data-id="${id}"] button`;
const shows = (selector) => `!!document.querySelector(${JSON.stringify(selector)})`;

/** A tenant of its own for each test, so that boards are empty at first. */
class Tenant {
  static count = 0;
  static async make(server, capacity = 2) {
    const tenant = new Tenant();
    Tenant.count += 1;
    Object.assign(tenant, { server, count: 0, capacity });
    tenant.platform = await server.command('token', '--tenant', `board-${Tenant.count}`);
    tenant.stores = [];
    for (const [nth, store] of STORES.entries()) {
      tenant.stores.push(await tenant.call('PUT', `/v1/stores/ext/s-${nth}`, store));
    }
    tenant.ops = await tenant.issue('ops', 'ann');
    return tenant;
  }

  async issue(kind, subject) {
    return (await this.call('POST', '/v1/tokens', { kind, subject })).token;
  }

  call(method, path, body) {
    return this.server.call(this.platform, method, path, body);
  }

  async courier(name, duty = 'on') {
    this.count += 1;
    const body = { name, vehicle: { type: 'scooter', colour: 'red' }, capacity: this.capacity };
    const courier = await this.call('PUT', `/v1/drivers/ext/d-${this.count}`, body);
    await this.call('PUT', `/v1/drivers/${courier.id}/duty`, { duty });
    return courier;
  }

  order(more = {}) {
    this.count += 1;
    return this.call('POST', '/v1/orders', {
      external_id: `D-${this.count}`, store: this.stores[0].id, dropoff: DOOR,
      items: [{ name: 'Margherita', qty: 2 }], ...more,
    });
  }

  act(order, action, body = {}) {
    return this.call('POST', `/v1/orders/${order.id}/${action}`, body);
  }

  read(order) {
    return this.call('GET', `/v1/orders/${order.id}`);
  }
}

describe('the dispatch board', { timeout: 600_000 }, () => {
  let server, browser, page, tenant;

  before(async () => {
    server = await Server.start({ ORDERCAST_TIMERS__POLL_INTERVAL_MS: '100' });
    browser = await Chromium.start();
  });
  after(async () => {
    await browser?.remove();
    await server?.remove();
  });
  beforeEach(async () => {
    tenant = await Tenant.make(server);
  });
  afterEach(async () => {
    await page?.close();
    page = null;
  });

  /** The board of the tenant, once it shows what there is. */
  async function open({ width = 1440, height = 900, at = `http://127.0.0.1:${server.port}` } = {}) {
    page = await browser.open('about:blank');
    await page.size(width, height);
    await page.ask('Page.navigate', { url: `${at}/dispatch#token=${tenant.ops}` });
    await until('the board is there', () =>
      page.run("document.body.dataset.loaded === 'yes' && document.getElementById('light').dataset.state === 'live'")
        .catch(() => false));
    return page;
  }

  const text = (selector) => page.call((selector) =>
    document.querySelector(selector)?.textContent.replace(/\s+/g, ' ').trim() ?? '', selector);
  const isIn = (order, column) => page.until(`it is in ${column}`, shows(`${lane(column)} ${ticket(order)}`));
  const says = (words) => until(`it says ${words}`, async () => (await text('#toast')).includes(words));

  async function middleOf(selector) {
    return until(`${selector} is there`, () => page.call((selector) => {
      const found = document.querySelector(selector);
      if (!found) return null;
      const { left, top, width, height } = found.getBoundingClientRect();
      return { x: left + width / 2, y: top + Math.min(height / 2, 60) };
    }, selector));
  }

  /** Takes what is at one place to another, and says what was said before it was let go. */
  async function drag(from, to) {
    const mouse = (type, at) => page.ask('Input.dispatchMouseEvent',
      { type, ...at, button: 'left', buttons: type === 'mouseReleased' ? 0 : 1, clickCount: 1 });
    const start = await middleOf(from);
    await mouse('mousePressed', start);
    await mouse('mouseMoved', { x: start.x + 12, y: start.y + 12 });
    await page.until('it is dragged', shows('.ghost'));
    // The list of couriers is sorted for the order now.
    const goal = await middleOf(to);
    await mouse('mouseMoved', goal);
    const verdict = await until('there is a verdict', () => page.call(() => {
      const ghost = document.querySelector('.ghost');
      return ghost?.dataset.verdict && [ghost.dataset.verdict, ghost.lastElementChild.textContent];
    }));
    await mouse('mouseReleased', goal);
    await page.until('it is let go', `!${shows('.ghost')}`);
    return verdict;
  }

  test('orders stand in the column of their status and move as it changes', async () => {
    const [placed, ready] = [await tenant.order(), await tenant.order()];
    await tenant.act(ready, 'accept', { prep_min: 5 });
    await tenant.act(ready, 'ready');
    await open();
    await isIn(placed, 'placed');
    await isIn(ready, 'ready');
    assert.equal(await text('#open'), '2');
    await tenant.act(placed, 'accept', { prep_min: 20 });
    await isIn(placed, 'preparing');
    const third = await tenant.order({ store: tenant.stores[1].id });
    await isIn(third, 'placed');
    const card = await text(ticket(third));
    assert.match(card, /Sushi Mori/);
    assert.match(card, /Elm St 1, Berlin/);
    await tenant.act(third, 'cancel', { reason: 'duplicate' });
    await until('it says so', async () => (await text(ticket(third))).includes('Cancelled'));
    await page.until('it leaves', `!${shows(ticket(third))}`);
  });

  test('the worst comes first', async () => {
    const [calm, soon] = [await tenant.order(), await tenant.order()];
    await tenant.act(calm, 'accept', { prep_min: 60 });
    await tenant.act(soon, 'accept', { prep_min: 10 });
    await open();
    await isIn(calm, 'preparing');
    const ids = () => page.run(`[...document.querySelectorAll('${lane('preparing')} .ticket')].map((t) => t.dataset.id)`);
    assert.deepEqual(await ids(), [soon.id, calm.id]);
    await server.call(tenant.ops, 'PUT', `/v1/orders/${calm.id}/prep`, { prep_min: 0 });
    await until('it is first', async () => (await ids())[0] === calm.id);
  });

  test('an order is assigned by keyboard, and its past says who and when', async () => {
    const [cori, ada] = [await tenant.courier('Cori Rider'), await tenant.courier('Ada Adler')];
    const [first, order] = [await tenant.order(), await tenant.order()];
    await tenant.act(order, 'accept', { prep_min: 9 });
    await open();
    await isIn(order, 'preparing');
    await page.until('couriers are there', shows(mate(cori)));
    // From card to card by arrows, across columns.
    await page.call((selector) => document.querySelector(selector).focus(), ticket(first));
    await page.press('ArrowRight');
    assert.equal(await page.run("document.activeElement.closest('.ticket').dataset.id"), order.id);
    await page.press('a');
    await page.until('it asks whom', "document.getElementById('picker').open");
    await page.type('cori');
    await page.until('there is one', "document.querySelectorAll('#picker-list [role=option]').length === 1");
    await page.press('Enter');
    await says(`${order.short_code}: Assigned to Cori R.`);
    assert.equal((await tenant.read(order)).driver.id, cori.id);
    assert.equal(await page.run("document.activeElement.closest('.ticket')?.dataset.id"), order.id, 'focus is back');

    // Another courier, from the order's page; its past follows.
    await page.press('Enter');
    await page.until('focus is on it', "document.activeElement.id === 'dossier'");
    await page.until('its past is read', shows('.log li'));
    await until('it was given', async () => /Given to Cori Rider.?Dispatcher ann/.test(await text('.log')));
    assert.match(await text('.log time'), /\d:\d\d/);
    await page.click('.d-actions [data-action="assign"]');
    await page.until('it asks whom', "document.getElementById('picker').open");
    const refused = await text('#picker-list [aria-disabled="true"]');
    assert.match(refused, /Cori Rider.*Has it already/);
    await page.type('ada');
    await page.press('Enter');
    await says(`${order.short_code}: Handed over to Ada A.`);
    assert.equal((await tenant.read(order)).driver.id, ada.id);
    await until('its past says so', async () => (await text('.log')).includes('Handed over to Ada Adler'));
    assert.match(await text('#polite'), /Handed over to Ada A\./, 'it is said aloud');
    await page.press('Escape');
    await page.until('it is closed', "document.getElementById('dossier').hidden");
    assert.equal(await page.run("document.activeElement.closest('.ticket')?.dataset.id"), order.id, 'and focus is back');
  });

  test('an order is assigned and handed over by drag, and to whom it cannot be is said', async () => {
    const [cori, ada] = [await tenant.courier('Cori Rider'), await tenant.courier('Ada Adler')];
    const away = await tenant.courier('Olu Okafor', 'paused');
    const order = await tenant.order();
    await tenant.act(order, 'accept', { prep_min: 9 });
    await open();
    await isIn(order, 'preparing');
    await page.until('couriers are there', shows(mate(away)));
    assert.deepEqual(await drag(ticket(order), mate(cori)), ['yes', 'Assign to Cori R.']);
    await says('Assigned to Cori R.');
    assert.equal((await tenant.read(order)).driver.id, cori.id);
    await until('the card says so', async () => (await text(ticket(order))).includes('Cori R. · to store'));
    assert.deepEqual(await drag(ticket(order), mate(ada)), ['yes', 'Hand over to Ada A.']);
    await says('Handed over to Ada A.');
    const { version } = await tenant.read(order);
    assert.deepEqual(await drag(ticket(order), mate(away)), ['no', 'Olu O.: on a break']);
    await says('Refused');
    const left = await tenant.read(order);
    assert.deepEqual([left.version, left.driver.id], [version, ada.id], 'nothing was asked for');
  });

  test('a card dragged to another column does what that means, or is refused', async () => {
    const order = await tenant.order();
    await open();
    await isIn(order, 'placed');
    assert.deepEqual(await drag(ticket(order), lane('courier')), ['no', 'Not accepted yet']);
    await says('Refused: Not accepted yet');
    assert.equal((await tenant.read(order)).version, 1);
    assert.deepEqual(await drag(ticket(order), lane('preparing')), ['yes', 'Accept']);
    await isIn(order, 'preparing');
    assert.deepEqual(await drag(ticket(order), lane('ready')), ['yes', 'Mark as ready']);
    await isIn(order, 'ready');
    assert.deepEqual(await drag(ticket(order), lane('courier')), ['no', 'No courier yet']);
    // A drag that is given up does nothing.
    const start = await middleOf(ticket(order));
    const mouse = (type, at) => page.ask('Input.dispatchMouseEvent',
      { type, ...at, button: 'left', buttons: 1, clickCount: 1 });
    await mouse('mousePressed', start);
    await mouse('mouseMoved', { x: start.x - 150, y: start.y });
    await page.until('it is dragged', shows('.ghost'));
    await page.press('Escape');
    await page.until('it is not any more', `!${shows('.ghost')}`);
    await mouse('mouseReleased', start);
    assert.equal((await tenant.read(order)).status, 'ready');
  });

  test('a finger that rests on a card drags it', async () => {
    const cori = await tenant.courier('Cori Rider');
    const order = await tenant.order();
    await open({ width: 1024, height: 768 });
    await page.ask('Emulation.setTouchEmulationEnabled', { enabled: true });
    await isIn(order, 'placed');
    await page.until('couriers are there', shows(mate(cori)));
    const touch = (type, ...touchPoints) => page.ask('Input.dispatchTouchEvent', { type, touchPoints });
    const start = await middleOf(ticket(order));
    await touch('touchStart', start);
    await page.until('it is dragged', shows('.ghost'));
    await touch('touchMove', { x: start.x + 20, y: start.y + 20 });
    const goal = await middleOf(mate(cori));
    await touch('touchMove', goal);
    await page.until('it may be let go', "document.querySelector('.ghost')?.dataset.verdict === 'yes'");
    await touch('touchEnd');
    await says('Assigned to Cori R.');
    assert.equal((await tenant.read(order)).driver.id, cori.id);
  });

  test('filters narrow the board', async () => {
    const cori = await tenant.courier('Cori Rider');
    const [pizza, sushi] = [await tenant.order(), await tenant.order({ store: tenant.stores[1].id })];
    for (const order of [pizza, sushi]) await tenant.act(order, 'accept', { prep_min: 9 });
    await tenant.call('PUT', `/v1/orders/${pizza.id}/driver`, { driver: cori.id });
    await open();
    await page.until('stores are offered', "document.querySelectorAll('#by-store option').length === 3");
    await page.until('couriers are offered', "document.querySelectorAll('#by-courier option').length === 2");
    const seen = async (...orders) => until(`only ${orders.length} are seen`, async () => {
      const ids = await page.run("[...document.querySelectorAll('.ticket')].map((t) => t.dataset.id)");
      return ids.length === orders.length && orders.every(({ id }) => ids.includes(id));
    });
    const choose = (id, value) => page.call((id, value) => {
      const field = document.getElementById(id);
      field.value = value;
      field.dispatchEvent(new Event('change', { bubbles: true }));
    }, id, value);
    await seen(pizza, sushi);
    await choose('by-store', tenant.stores[1].id);
    await seen(sushi);
    await page.click('#unfilter');
    await seen(pizza, sushi);
    await choose('by-courier', cori.id);
    await seen(pizza);
    await page.click('#unfilter');
    await page.click('.toggles label:nth-child(2)');
    await seen(sushi);
    await page.click('#unfilter');
    await page.click('.toggles label:nth-child(1)');
    await seen();
    await page.click('#unfilter');
    // The map's area: of the store that was chosen last.
    await choose('by-store', tenant.stores[1].id);
    await seen(sushi);
    await page.click('.toggles label:nth-child(3)');
    await choose('by-store', '');
    await seen(sushi);
    await page.click('.plot-hands button:nth-child(3)');
    await seen(pizza, sushi);
    await page.click('#unfilter');
    await page.click('#find');
    await page.type(`mori ${sushi.short_code.toLowerCase()}`);
    await seen(sushi);
  });

  test('the map follows the filters of the lists', async () => {
    const [cori, bo, ada] = [await tenant.courier('Cori Rider'), await tenant.courier('Bo Free'), await tenant.courier('Ada Far')];
    const [pizza, sushi, late] = [await tenant.order(), await tenant.order({ store: tenant.stores[1].id }), await tenant.order()];
    for (const order of [pizza, sushi, late]) await tenant.act(order, 'accept', { prep_min: 9 });
    for (const [order, courier] of [[pizza, cori], [late, ada]]) {
      await tenant.call('PUT', `/v1/orders/${order.id}/driver`, { driver: courier.id });
    }
    const spots = new Map([[cori, [52.52, 13.38]], [bo, [52.51, 13.36]], [ada, [52.505, 13.39]]]);
    for (const [courier, [lat, lng]] of spots) {
      const { token } = await tenant.call('POST', '/v1/tokens', { kind: 'driver', subject: courier.id });
      const now = Date.now();
      const p = [[now, new Date(now).toISOString(), lat, lng, 10]];
      await server.call(token, 'POST', '/v1/drivers/me/locations', { p });
    }
    await open();
    await page.until('all are known', "document.getElementById('map-words').textContent === '3 couriers on duty, 1 free · 2 stores'");
    const says = (words) => until(`the map shows ${words}`, async () => (await text('#map-words')) === words);
    const choose = (id, value) => page.call((id, value) => {
      const field = document.getElementById(id);
      field.value = value;
      field.dispatchEvent(new Event(id === 'find' ? 'input' : 'change', { bubbles: true }));
    }, id, value);
    await choose('by-store', tenant.stores[1].id);
    await says('Filtered: 0 couriers and 1 store on the map');
    await choose('by-store', tenant.stores[0].id);
    await says('Filtered: 2 couriers and 1 store on the map');
    await page.click('#unfilter');
    await says('3 couriers on duty, 1 free · 2 stores');
    await choose('by-courier', cori.id);
    await says('Filtered: 1 courier and 1 store on the map');
    // An order that comes to this courier brings its store.
    await tenant.call('PUT', `/v1/orders/${sushi.id}/driver`, { driver: cori.id });
    await says('Filtered: 1 courier and 2 stores on the map');
    await page.click('#unfilter');
    // What nobody has is shown with who could take it.
    await tenant.call('DELETE', `/v1/orders/${sushi.id}/driver`);
    await page.click('.toggles label:nth-child(2)');
    await says('Filtered: 1 courier and 1 store on the map');
    await page.click('#unfilter');
    // Who has no order is found by name.
    await choose('find', 'bo fr');
    await says('Filtered: 1 courier and 0 stores on the map');
    // Whatever is open is shown besides.
    await choose('find', pizza.short_code);
    await says('Filtered: 1 courier and 1 store on the map');
    await page.click(ticket(pizza));
    await choose('find', sushi.short_code);
    await says('Filtered: 1 courier and 2 stores on the map');
    await page.press('Escape');
    await says('Filtered: 0 couriers and 1 store on the map');
    await assertAccessible(page, 'a board that is narrowed');
  });

  test('a failed search is an alarm until somebody has it', async () => {
    const cori = await tenant.courier('Cori Rider', 'off');
    const order = await tenant.order();
    await tenant.act(order, 'accept', { prep_min: 9 });
    await open();
    await isIn(order, 'preparing');
    assert.equal(await page.run("document.getElementById('alarms').hidden"), true);
    // Some tenants search by themselves.
    await server.request(tenant.ops, 'POST', `/v1/orders/${order.id}/offers`, {});
    await until('a courier is searched', async () => (await tenant.read(order)).leg === 'offering');
    await server.call(tenant.ops, 'DELETE', `/v1/orders/${order.id}/offers`);
    await until('it is an alarm', async () => (await text('#alarms ul')).includes('Search failed'));
    await until('it is said', async () => (await text('#polite')).includes('Search failed'));
    await page.reload();
    await until('it is one after a reload, too', async () => (await text('#alarms ul')).includes('Search failed'));
    await page.click('#alarms ul button');
    await until('the order is opened', async () => (await text('#dossier')).includes(order.short_code));
    await tenant.call('PUT', `/v1/drivers/${cori.id}/duty`, { duty: 'on' });
    await tenant.call('PUT', `/v1/orders/${order.id}/driver`, { driver: cori.id });
    await page.until('it is none any more', "document.getElementById('alarms').hidden");
  });

  test('what is asked for while the connection is away is done once, when it is back', async () => {
    const origin = await Origin.start(server, { sockets: true });
    try {
      const order = await tenant.order();
      await open({ at: origin.url });
      await isIn(order, 'placed');
      await page.click(ticket(order));
      await page.until('its past is read', shows('.log li'));
      origin.sever();
      await page.until('it noticed', "document.getElementById('light').dataset.state !== 'live'");
      assert.equal(await page.run(shows(ticket(order))), true, 'what was known stays');
      await page.click('.d-actions [data-action="accept"]');
      await until('it is under way', async () => (await text(ticket(order))).includes('Accept for the store…'));
      assert.equal((await tenant.read(order)).status, 'placed');
      origin.mend();
      await isIn(order, 'preparing');
      await says('Accept for the store: done');
      const { events } = await tenant.call('GET', `/v1/orders/${order.id}/events`);
      assert.deepEqual(events.map(({ type }) => type), ['order.placed', 'order.accepted', 'order.preparing']);
    } finally {
      await origin.remove();
    }
  });

  test('everybody can use it', async () => {
    const cori = await tenant.courier('Cori Rider');
    const orders = [await tenant.order(), await tenant.order(), await tenant.order()];
    await tenant.act(orders[1], 'accept', { prep_min: 9 });
    await tenant.act(orders[2], 'accept', { prep_min: 0 });
    await tenant.act(orders[2], 'ready');
    await tenant.call('PUT', `/v1/orders/${orders[1].id}/driver`, { driver: cori.id });
    await open();
    await isIn(orders[1], 'preparing');
    await page.until('couriers are there', shows(mate(cori)));
    for (const scheme of ['light', 'dark']) {
      await page.prefer({ 'prefers-color-scheme': scheme });
      await assertAccessible(page, `the board, ${scheme}`);
      await page.click(ticket(orders[1]));
      await page.until('its past is read', shows('.log li'));
      await assertAccessible(page, `an order, ${scheme}`);
      await page.click('.d-actions [data-action="assign"]');
      await page.until('it asks whom', shows('#picker-list [role=option]'));
      await assertAccessible(page, `choosing a courier, ${scheme}`);
      await page.press('Escape');
      await page.click('.d-actions summary');
      await page.click('.d-actions [data-action="cancel"]');
      await page.until('it asks why', "document.getElementById('reasons').open");
      await assertAccessible(page, `a reason, ${scheme}`);
      await page.press('Escape');
      await page.click('.d-close');
    }
    await page.size(320, 640);
    await assertAccessible(page, 'the board, 320 wide');
    assert.ok(await page.run('document.documentElement.scrollWidth <= 320'), 'nothing is cut off');
  });

  test('tiles lie under the map only where they are set', async () => {
    const asked = [];
    // One grey pixel.
    const pixel = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==', 'base64');
    const tiles = http.createServer((request, response) => {
      asked.push(request.url);
      response.writeHead(200, { 'content-type': 'image/png' });
      response.end(pixel);
    });
    tiles.listen(0, '127.0.0.1');
    await once(tiles, 'listening');
    const host = `http://127.0.0.1:${tiles.address().port}`;
    const set = await Server.start({
      ORDERCAST_PAGES__TILE_URL: `${host}/{z}/{x}/{y}.png`,
      ORDERCAST_PAGES__TILE_CREDIT: 'Maps by somebody',
    });
    try {
      const policy = async (of) => (await fetch(`http://127.0.0.1:${of.port}/dispatch`)).headers.get('content-security-policy');
      assert.match(await policy(set), new RegExp(`img-src ${host} 'self'`));
      assert.doesNotMatch(await policy(server), /http/);
      await open();
      await page.until('the map has its stores', "/2 stores/.test(document.getElementById('map-words').textContent)");
      assert.equal(await page.run("fetch('assets/tiles.json').then((answer) => answer.json()).then(({ url }) => url)"), null);
      await page.close();
      tenant = await Tenant.make(set);
      await open({ at: `http://127.0.0.1:${set.port}` });
      // Of Berlin, where the stores are.
      await until('tiles of where the stores are were asked for', () => asked.some((path) => {
        const [zoom, column] = path.match(/\d+/g).map(Number);
        return zoom > 8 && Math.abs((column / 2 ** zoom) * 360 - 180 - 13.36) < 1;
      }));
      assert.equal(await text('.plot-credit'), 'Maps by somebody');
    } finally {
      await set.remove();
      tiles.close();
    }
  });
});
