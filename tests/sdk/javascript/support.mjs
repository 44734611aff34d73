// A server, a network that can fail, and subscribers that keep what they hear.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const BUILT = fileURLToPath(new URL('../../../target/debug/ordercast', import.meta.url));
export const BIN = process.env.ORDERCAST_BIN ? path.resolve(process.env.ORDERCAST_BIN) : BUILT;
/** So long that only what never comes is missed, on a busy machine too. */
export const PATIENCE_MS = 60_000;

/** Waits until `condition` gives something true, and returns that; fails when patience is over. */
export async function until(what, condition, patience = PATIENCE_MS) {
  const end = performance.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > end) assert.fail(`waited in vain until ${what}`);
    await sleep(10);
  }
}

/** `ordercast serve` with a private PostgreSQL in a folder of its own. */
export class Server {
  #settings;
  #process;
  #port;

  /** Makes the folder and starts the server; `settings` are environment variables. */
  static async start(settings = {}) {
    const server = new Server();
    const dir = await mkdtemp(path.join(tmpdir(), 'ordercast-sdk-'));
    // Run by root, PostgreSQL has an account of its own that must get there.
    await chmod(dir, 0o711);
    server.dir = dir;
    server.#settings = settings;
    await server.run();
    return server;
  }

  /** Another process on the database of this server, which must outlive it. */
  async beside() {
    const kept = async (name) => (await readFile(path.join(this.#dataDir(), name), 'utf8')).trim();
    const other = new Server();
    other.dir = this.dir;
    other.#settings = {
      ...this.#settings,
      ORDERCAST_DATABASE_URL: await kept('url'),
      ORDERCAST_AUTH__SECRET: await kept('secret'),
    };
    await other.run();
    return other;
  }

  /** Starts the process, on a free port each time, and waits until it serves. */
  async run() {
    const env = { ...process.env, ORDERCAST_LOG__FORMAT: 'json', ...this.#settings };
    const options = { env, stdio: ['ignore', 'inherit', 'pipe'] };
    const child = spawn(BIN, ['serve', '--data-dir', this.#dataDir(), '--port', '0'], options);
    this.#process = child;
    // A test that is broken off leaves no server behind.
    process.on('exit', () => child.kill('SIGKILL'));
    this.exited = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
    const log = [];
    this.#port = await new Promise((resolve, reject) => {
      readline.createInterface({ input: child.stderr }).on('line', (line) => {
        log.push(line);
        const address = /"address":"127\.0\.0\.1:(\d+)"/.exec(line);
        if (address && line.includes('"serving"')) resolve(Number(address[1]));
      });
      child.on('error', reject);
      child.on('exit', (code) => reject(new Error(`exit ${code}\n${log.join('\n')}`)));
    });
  }

  #dataDir() {
    return path.join(this.dir, 'data');
  }

  get port() {
    return this.#port;
  }

  /** Sends the signal and waits for the process to end; returns how it did. */
  async end(signal) {
    this.#process.kill(signal);
    return this.exited;
  }

  /** Ends the process if it still runs, and removes the folder. */
  async remove() {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await this.end('SIGTERM');
    }
    await rm(this.dir, { recursive: true, force: true, maxRetries: 20 });
  }

  /** What the command line prints. */
  async command(...args) {
    const ran = promisify(execFile)(BIN, [...args, '--data-dir', this.#dataDir()]);
    return (await ran).stdout.trim();
  }

  /** A request, whatever its answer: status and body. */
  async request(token, method, target, body) {
    const response = await fetch(`http://127.0.0.1:${this.#port}${target}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  /** A request that must succeed: its body. */
  async call(token, method, target, body) {
    const answer = await this.request(token, method, target, body);
    assert.ok(answer.status < 300, `${method} ${target}: ${JSON.stringify(answer)}`);
    return answer.body;
  }
}

/** The network between clients and the server: a TCP proxy that can be cut, and stalled. */
export class Network {
  #sockets = new Set();
  #pairs = new Set();
  #target;
  #whole = true;
  #listener;

  static async start(target) {
    const network = new Network();
    network.#target = target;
    network.#listener = net.createServer((near) => network.#join(near));
    network.#listener.listen(0, '127.0.0.1');
    await once(network.#listener, 'listening');
    return network;
  }

  /** Whom new connections reach. */
  lead(target) {
    this.#target = target;
  }

  get url() {
    return `ws://127.0.0.1:${this.#listener.address().port}/connection/websocket`;
  }

  #join(near) {
    // A reset is what the tests are about.
    near.on('error', () => {});
    if (!this.#whole) return void near.resetAndDestroy();
    const far = net.connect(this.#target.port, '127.0.0.1');
    far.on('error', () => near.destroy());
    near.pipe(far).pipe(near);
    const pair = { near, far };
    this.#pairs.add(pair);
    near.on('close', () => this.#pairs.delete(pair));
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
  }

  /** From now on nobody gets through; what is open stays open. */
  refuse() {
    this.#whole = false;
  }

  /** From now on nobody gets through, and what is open ends. */
  sever() {
    this.refuse();
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#whole = true;
  }

  /** From now on nothing more arrives from the server where a connection is open, and it stays. */
  stall() {
    for (const { near, far } of this.#pairs) far.unpipe(near);
  }

  flow() {
    for (const { near, far } of this.#pairs) far.pipe(near);
  }

  async remove() {
    this.sever();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}

/** In the Protobuf build payloads are bytes, which to ordercast are JSON text. */
export const bytes = (value) => new TextEncoder().encode(JSON.stringify(value));

/** What was said, with every payload of bytes read. */
export function spoken(value) {
  if (value instanceof Uint8Array) {
    // No payload at all is no bytes.
    return value.length === 0 ? undefined : JSON.parse(new TextDecoder().decode(value));
  }
  if (Array.isArray(value)) return value.map(spoken);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, spoken(inner)]));
}

/** One subscription and all that it was told, in order. */
export class Subscriber {
  publications = [];
  subscribed = [];
  subscribing = [];
  unsubscribed = [];
  errors = [];
  /** What a snapshot stood for: after which position, up to which. */
  lost = [];

  constructor(client, channel, options) {
    const data = client.binary && options?.data ? bytes(options.data) : options?.data;
    this.subscription = client.newSubscription(channel, options && { ...options, data });
    if (client.binary) {
      const { history } = this.subscription;
      this.subscription.history = async (asked) =>
        spoken(await history.call(this.subscription, asked));
    }
    this.subscription.on('publication', (context) => this.publications.push(spoken(context)));
    this.subscription.on('subscribed', (context) => {
      const { wasRecovering, recovered, streamPosition } = context;
      if (wasRecovering && !recovered) this.lost.push([this.#reached(), streamPosition.offset]);
      this.subscribed.push(spoken(context));
    });
    this.subscription.on('subscribing', (context) => this.subscribing.push(context));
    this.subscription.on('unsubscribed', (context) => this.unsubscribed.push(context));
    this.subscription.on('error', (context) => this.errors.push(context));
    this.subscription.subscribe();
  }

  /** Where it stands in the log by what it was told. */
  #reached() {
    const told = this.subscribed.map((context) => context.streamPosition.offset);
    return Math.max(0, ...told, ...this.offsets.slice(-1));
  }

  get types() {
    return this.publications.map((publication) => publication.data.type);
  }

  get offsets() {
    return this.publications.map((publication) => publication.offset);
  }

  /** The newest `subscribed`, once there are `count` of them. */
  async standing(count = 1) {
    await until(`subscribed ${count} times`, () => this.subscribed.length >= count);
    assert.equal(this.subscribed.length, count);
    return this.subscribed.at(-1);
  }

  /** Waits for an event of this type as the last one heard. */
  async hears(type) {
    await until(`the last of ${this.types} is ${type}`, () => this.types.at(-1) === type);
  }

  /** Asserts that offsets only grow, and are the positions of the events. */
  inOrder() {
    const positions = this.publications.map((publication) => publication.data.position);
    assert.deepEqual(this.offsets, positions);
    const growing = positions.every((position, nth) => nth === 0 || position > positions[nth - 1]);
    assert.ok(growing, `positions ${positions}`);
  }
  /** Asserts that it heard `log`, but for what a snapshot stood for, and no more. */
  missedNothing(log) {
    const within = (at) => this.lost.some(([low, high]) => low < at && at <= high);
    const expected = log.filter(({ position }) => !within(position));
    assert.deepEqual(this.publications.map((heard) => heard.data), expected);
    this.inOrder();
  }
}
