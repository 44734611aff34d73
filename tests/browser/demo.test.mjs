// The demo's doors: a person takes the store's part and its player stands back; when the person
// leaves, the player goes on.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import readline from 'node:readline';
import { after, before, describe, test } from 'node:test';

import { BIN, until } from '../sdk/javascript/support.mjs';
import { assertAccessible } from './axe.mjs';
import { Chromium } from './chromium.mjs';

/** A cluster and a city are set up: on a busy machine that takes its time. */
const SET_UP_MS = 90_000;

describe('a person in the demo', { timeout: 600_000 }, () => {
  let child, browser, said;

  before(async () => {
    said = '';
    child = spawn(BIN, ['demo', '--port', '0', '--orders-per-minute', '60'], { stdio: ['ignore', 'pipe', 'inherit'] });
    process.on('exit', () => child.kill('SIGKILL'));
    readline.createInterface({ input: child.stdout }).on('line', (line) => { said += `${line}\n`; });
    browser = await Chromium.start();
    const open = () => said.includes('/t/tl_') && said.includes('/store#token=');
    await until('the doors are open', open, SET_UP_MS);
  });
  after(async () => {
    await browser?.remove();
    child.kill('SIGKILL');
  });

  const door = (page) => new RegExp(`http://\\S+/${page}#token=\\S+`).exec(said)[0];

  /** The page behind a door, which takes the token out of its address. */
  async function enter(url) {
    const [address, token] = url.split('#');
    const page = await browser.open(address, await browser.person());
    await page.size(1024, 768);
    await page.run(`location.hash = '${token}'`);
    return page;
  }

  test('takes the store, answers, leaves; and the account of all players is clean', async () => {
    const page = await enter(door('store'));
    const RINGS = "document.getElementById('call').open";
    const waiting = `(${RINGS} && document.getElementById('call-count').textContent)`;
    await page.until('it rings', RINGS);
    // Nobody else answers: another one comes, and both wait.
    await page.until('two wait', `/ of [2-9]/.test(${waiting})`);
    await assertAccessible(page, 'the store of the demo');
    const code = await page.run("document.getElementById('call-code').textContent");
    await page.click('#call-accept');
    const cooked = `[...document.querySelectorAll('#preparing .code')].some((code) => code.textContent === '${code}')`;
    await page.until('it is cooked', cooked);
    // A customer may have changed its mind; then there is another soon.
    await page.until('another is not answered', RINGS);
    const left = await page.run("document.getElementById('call-code').textContent");
    assert.notEqual(left, code);
    await page.close();
    // Its player answers in the end.
    const [address, token] = door('dispatch').split('/dispatch#token=');
    const headers = { authorization: `Bearer ${token}` };
    await until(`${left} is answered`, async () => {
      const asked = `${address}/v1/orders?status=accepted,preparing,rejected,cancelled&limit=100`;
      const { orders } = await (await fetch(asked, { headers })).json();
      return orders.some(({ short_code }) => short_code === left);
    });

    child.kill('SIGINT');
    const [status] = await once(child, 'exit');
    assert.match(said, /clean: 0 missed, 0 repeated, 0 reordered, 0 failed/);
    assert.equal(status, 0);
  });
});
