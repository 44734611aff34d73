// A headless Chromium, spoken to over a pipe (the DevTools protocol, a message up to each NUL), and
// the network between it and the server: one origin with an empty page, which can be cut.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { PATIENCE_MS, until } from '../sdk/javascript/support.mjs';

const PROGRAM = process.env.CHROMIUM ?? 'chromium';
const SDK = new URL('../sdk/javascript/node_modules/centrifuge/dist/centrifuge.js', import.meta.url);

/** One browser with a profile of its own. */
export class Chromium {
  #process;
  #profile;
  #asked = new Map();
  #count = 0;

  static async start() {
    const browser = new Chromium();
    browser.#profile = await mkdtemp(path.join(tmpdir(), 'ordercast-chromium-'));
    const options = [
      '--headless=new', '--remote-debugging-pipe', '--no-first-run', '--disable-gpu',
      '--disable-dev-shm-usage', `--user-data-dir=${browser.#profile}`,
      // What it is shown is ours alone; run by root it does not start otherwise.
      '--no-sandbox',
    ];
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'];
    // A group of its own, as it is many processes.
    const child = spawn(PROGRAM, options, { stdio, detached: true });
    browser.#process = child;
    let said = '';
    child.stderr.on('data', (text) => { said = (said + text).slice(-4_000); });
    process.on('exit', () => browser.#kill());
    browser.exited = new Promise((resolve) => { child.on('exit', resolve); });
    const fail = (why) => {
      for (const { reject } of browser.#asked.values()) reject(new Error(`${why}\n${said}`));
      browser.#asked.clear();
    };
    child.on('error', (error) => fail(`${PROGRAM}: ${error.message}`));
    child.on('exit', (code) => fail(`${PROGRAM} ended with ${code}`));
    child.stdio[3].on('error', () => {});
    browser.#listen(child.stdio[4]);
    await browser.ask('Browser.getVersion');
    return browser;
  }

  #listen(pipe) {
    let pending = '';
    pipe.setEncoding('utf8').on('data', (text) => {
      const messages = (pending + text).split('\0');
      pending = messages.pop();
      for (const { id, result, error } of messages.map((message) => JSON.parse(message))) {
        const asked = this.#asked.get(id);
        this.#asked.delete(id);
        if (error) asked?.reject(new Error(error.message));
        else asked?.resolve(result);
      }
    });
  }

  /** Calls a method of the DevTools protocol. */
  async ask(method, params = {}, sessionId = undefined) {
    this.#count += 1;
    const id = this.#count;
    const answer = new Promise((resolve, reject) => this.#asked.set(id, { resolve, reject }));
    this.#process.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    const late = setTimeout(() => {
      this.#asked.get(id)?.reject(new Error(`${method} was not answered`));
    }, PATIENCE_MS);
    try {
      return await answer;
    } finally {
      clearTimeout(late);
    }
  }

  /** Another person's browser: it keeps things apart from all others. */
  async person() {
    return (await this.ask('Target.createBrowserContext')).browserContextId;
  }

  /** A page at this address, which is loaded; in the browser of `person`, if one is given. */
  async open(url, person = undefined) {
    const blank = { url: 'about:blank', browserContextId: person };
    const { targetId } = await this.ask('Target.createTarget', blank);
    const attach = { targetId, flatten: true };
    const { sessionId } = await this.ask('Target.attachToTarget', attach);
    const page = new Page(this, targetId, sessionId);
    await this.ask('Page.navigate', { url }, sessionId);
    const isThere = `location.href === ${JSON.stringify(url)} && document.readyState`;
    const end = performance.now() + PATIENCE_MS;
    while (await page.run(isThere).catch(() => '') !== 'complete') {
      assert.ok(performance.now() < end, `${url} was not loaded`);
    }
    return page;
  }

  #kill() {
    try {
      process.kill(-this.#process.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  }

  async remove() {
    this.#kill();
    await this.exited;
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 20 });
  }
}

/** One tab. */
class Page {
  #browser;
  #target;
  #session;

  constructor(browser, target, session) {
    this.#browser = browser;
    this.#target = target;
    this.#session = session;
  }

  /** What an expression comes to, awaited if it is a promise. */
  async run(expression) {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } =
      await this.#browser.ask('Runtime.evaluate', params, this.#session);
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Calls a function of ours there. */
  async call(run, ...args) {
    return this.run(`(${run})(...${JSON.stringify(args)})`);
  }

  /** A method of the DevTools protocol, on this page. */
  async ask(method, params = {}) {
    return this.#browser.ask(method, params, this.#session);
  }

  /** Waits until an expression is true there, and returns what it comes to. */
  async until(what, expression) {
    // On its way to another address a page may have no body yet: what cannot be asked is not so.
    return until(`${what}: ${expression}`, () => this.run(expression).catch(() => false));
  }

  /** As on a screen of this size; `more` as in `Emulation.setDeviceMetricsOverride`. */
  async size(width, height, more = {}) {
    const screen = { width, height, deviceScaleFactor: 1, mobile: false, ...more };
    await this.ask('Emulation.setDeviceMetricsOverride', screen);
  }

  /** As for people who prefer this, as in `{ 'prefers-color-scheme': 'dark' }`. */
  async prefer(features) {
    const list = Object.entries(features).map(([name, value]) => ({ name, value }));
    await this.ask('Emulation.setEmulatedMedia', { features: list });
  }

  /**
   * Clicks, as people do, in the middle of what a selector finds first; once more when that moved
   * away, or was drawn anew, under the finger.
   */
  async click(selector) {
    await until(`${selector} is clicked`, async () => {
      const place = await this.call((selector) => {
        const found = document.querySelector(selector);
        if (!found) return null;
        found.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
        const { left, top, width, height } = found.getBoundingClientRect();
        const [x, y] = [left + width / 2, top + height / 2];
        // What is pressed in one place and let go in another, because the page moved, is a click on
        // what holds both: that is none. A label or a button, however, works for what is in it.
        const isIt = (hit) => found.contains(hit) || hit?.closest('label, button')?.contains(found);
        if (width === 0 || !isIt(document.elementFromPoint(x, y)) || found.disabled) return null;
        globalThis.clicked = false;
        const hear = ({ target }) => { globalThis.clicked = isIt(target); };
        addEventListener('click', hear, { capture: true, once: true });
        return { x, y };
      }, selector);
      if (!place) return false;
      const at = { ...place, button: 'left', clickCount: 1 };
      await this.ask('Input.dispatchMouseEvent', { type: 'mousePressed', ...at });
      await this.ask('Input.dispatchMouseEvent', { type: 'mouseReleased', ...at });
      // Where it leads to another page, that one knows nothing of it.
      return this.run('globalThis.clicked !== false').catch(() => true);
    });
  }

  /** Presses a key by its name, as in `Enter`, `Tab`, `ArrowRight`. */
  async press(key, { code = key, text, modifiers = 0 } = {}) {
    const codes = { Enter: 13, Tab: 9, Escape: 27, ' ': 32, ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40 };
    const windowsVirtualKeyCode = codes[key] ?? key.toUpperCase().charCodeAt(0);
    const typed = text ?? (key === 'Enter' ? '\r' : key.length === 1 ? key : undefined);
    const event = { key, code, modifiers, windowsVirtualKeyCode };
    await this.ask('Input.dispatchKeyEvent', { type: 'keyDown', text: typed, ...event });
    await this.ask('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /** Types into what has the focus. */
  async type(text) {
    await this.ask('Input.insertText', { text });
  }

  /** Loads the page again, and waits until it is there. */
  async reload() {
    await this.run('window.isOld = true');
    await this.ask('Page.reload');
    await until('it is loaded again', () =>
      this.run("!window.isOld && document.readyState === 'complete'").catch(() => false));
  }

  /** Keeps a picture of what is to be seen, as PNG. */
  async picture(path) {
    const { data } = await this.ask('Page.captureScreenshot', { format: 'png' });
    await writeFile(path, Buffer.from(data, 'base64'));
  }

  async close() {
    await this.#browser.ask('Target.closeTarget', { targetId: this.#target });
  }
}

/**
 * A reverse proxy: an empty page, the SDK, and the server behind the rest; sockets too, if it is
 * started with `{ sockets: true }`.
 */
export class Origin {
  /** Every request that was passed on. */
  requests = [];
  #sockets = new Set();
  #target;
  #whole = true;
  #listener;

  static async start(target, { sockets = false } = {}) {
    const origin = new Origin();
    const sdk = await readFile(SDK);
    origin.#target = target;
    origin.#listener = http.createServer((request, response) => {
      if (request.url === '/') {
        response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
        response.end('<!doctype html><title>empty</title>');
      } else if (request.url === '/centrifuge.js') {
        response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' });
        response.end(sdk);
      } else {
        origin.#pass(request, response);
      }
    });
    if (sockets) origin.#listener.on('upgrade', (...upgrade) => origin.#join(...upgrade));
    origin.#listener.on('connection', (socket) => {
      if (!origin.#whole) return void socket.destroy();
      origin.#sockets.add(socket);
      socket.on('close', () => origin.#sockets.delete(socket));
    });
    origin.#listener.listen(0, '127.0.0.1');
    await once(origin.#listener, 'listening');
    return origin;
  }

  get url() {
    return `http://127.0.0.1:${this.#listener.address().port}`;
  }

  #pass(request, response) {
    const { method, url, headers } = request;
    const seen = { path: url, lastEventId: headers['last-event-id'], status: undefined };
    this.requests.push(seen);
    const options = { port: this.#target.port, host: '127.0.0.1', method, path: url, headers };
    const onward = http.request({ ...options, agent: false }, (answer) => {
      seen.status = answer.statusCode;
      response.writeHead(answer.statusCode, answer.headers);
      response.flushHeaders();
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    // Whoever is gone on one side is gone on the other.
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }

  /** A socket: byte for byte. */
  #join({ method, url, rawHeaders }, near, first) {
    const far = net.connect(this.#target.port, '127.0.0.1', () => {
      const lines = [`${method} ${url} HTTP/1.1`];
      for (let nth = 0; nth < rawHeaders.length; nth += 2) {
        lines.push(`${rawHeaders[nth]}: ${rawHeaders[nth + 1]}`);
      }
      far.write(`${lines.join('\r\n')}\r\n\r\n`);
      far.write(first);
      far.pipe(near).pipe(far);
    });
    far.on('error', () => near.destroy());
    near.on('error', () => far.destroy());
    near.on('close', () => far.destroy());
  }

  /** The requests of one path, whatever they asked for. */
  asked(of) {
    return this.requests.filter((request) => request.path.split('?')[0] === of);
  }

  /** From now on nobody gets through, and what is open ends. */
  sever() {
    this.#whole = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#whole = true;
  }

  async remove() {
    this.sever();
    this.#listener.close();
    await once(this.#listener, 'close');
  }
}
