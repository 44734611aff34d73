// The page of the API: drawn from the documents, by nothing but what the server itself serves.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Server, until } from '../sdk/javascript/support.mjs';
import { Chromium, Origin } from './chromium.mjs';

describe('the page of the API', { timeout: 600_000 }, () => {
  let server, origin, browser, page;

  before(async () => {
    server = await Server.start();
    origin = await Origin.start(server);
    browser = await Chromium.start();
  });
  after(async () => {
    await browser?.remove();
    await origin?.remove();
    await server?.remove();
  });

  test('it shows every operation, channel and message', async () => {
    page = await browser.open(`${origin.url}/docs#order.accept`);
    await until('it is drawn', () => page.run("document.getElementById('note').hidden"));
    const [openapi, asyncapi] = await Promise.all(['openapi', 'asyncapi'].map(async (name) =>
      (await fetch(`${origin.url}/${name}.json`)).json()));
    const operations = Object.values(openapi.paths).flatMap((path) => Object.values(path));
    const wanted = [
      ...operations.map((operation) => operation.operationId),
      ...Object.keys(asyncapi.channels).map((key) => `channel-${key}`),
      ...Object.keys(asyncapi.components.messages).map((key) => `message-${key}`),
    ].sort();
    const drawn = await page.run("[...document.querySelectorAll('details')].map(({ id }) => id).sort()");
    assert.deepEqual(drawn, wanted);

    // What the address names is open, with the members of its body.
    const members = await until('it is open', () => page.run(
      "document.getElementById('order.accept').querySelector('.inside')?.textContent"));
    for (const word of ['Idempotency-Key', 'prep_min', 'invalid_transition', '409']) {
      assert.ok(members.includes(word), word);
    }
    // Every part can be opened.
    await page.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })");
    await until('all are open', () => page.run(
      "[...document.querySelectorAll('details')].every((part) => part.querySelector('.inside'))"));

    const shown = await page.run(`(() => {
      const find = document.getElementById('find');
      find.value = 'webhook.rotate';
      find.dispatchEvent(new Event('input'));
      return [...document.querySelectorAll('details:not([hidden])')].map(({ id }) => id);
    })()`);
    assert.deepEqual(shown, ['message-webhook.rotate.call', 'message-webhook.rotate.reply']);

    // It asked for nothing but this, and was given all of it.
    const hosts = await page.run(
      "performance.getEntriesByType('resource').map(({ name }) => new URL(name).origin)");
    assert.ok(hosts.length >= 4);
    assert.ok(hosts.every((host) => host === origin.url), String(hosts));
    const failed = origin.requests.filter(({ status }) => status >= 400);
    assert.deepEqual(failed, []);
  });
});
