// Holds the AsyncAPI document against the specification's own parser, which resolves every
// reference and asks the official meta-schemas.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Parser } from '@asyncapi/parser';

import { Server } from '../sdk/javascript/support.mjs';

let server, text;

before(async () => {
  server = await Server.start();
  const answer = await fetch(`http://127.0.0.1:${server.port}/asyncapi.json`);
  assert.equal(answer.status, 200);
  text = await answer.text();
});
after(async () => {
  await server?.remove();
});

test('the document is one of AsyncAPI 3', { timeout: 60_000 }, async () => {
  const { document, diagnostics } = await new Parser().parse(text);
  // Errors and warnings. Hints and information are matters of taste, as which of its releases to use.
  const wrong = diagnostics.filter(({ severity }) => severity <= 1)
    .map(({ code, message, path }) => `${path.join('.')}: ${code}: ${message}`);
  assert.deepEqual(wrong, []);
  assert.equal(document.version(), '3.0.0');
  assert.equal(document.servers().all().length, 5);
  const channels = document.channels().all().map((channel) => channel.id()).sort();
  assert.deepEqual(channels,
    ['dispatch', 'driver', 'order', 'personal', 'rpc', 'store', 'tenant']);
  assert(document.operations().all().length > 40);
  for (const message of document.messages().all()) {
    assert(message.payload(), `${message.id()} has no payload`);
  }
});
