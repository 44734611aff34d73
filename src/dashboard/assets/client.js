// The client of every page: one socket, the Centrifuge client protocol in JSON.
//
// It keeps a subscription true. Each has a position (offset and epoch): after a loss the socket
// is opened again with back-off and jitter, and what was missed is asked for from there; when it
// cannot be had, the server sends a fresh snapshot instead. A page therefore sees a snapshot
// first, then every later event once and in order, and now and then another snapshot, which
// replaces everything.
//
// Absent on purpose: it knows no order, draws nothing, keeps no token.

/** Delays between tries, in milliseconds: those of the official SDKs. */
const DELAY_MIN = 500;
const DELAY_MAX = 20_000;
/** How long the handshake of a socket may take. */
const OPEN_LIMIT = 10_000;
/** How long a reply may take. */
const REPLY_LIMIT = 5_000;
/** How long a call may take: it waits for a commit. */
const CALL_LIMIT = 15_000;
/** How long a ping may be overdue until the link counts as dead. */
const PING_GRACE = 10_000;
/** How long a link may take to prove that it lives, after the page was hidden or offline. */
const PROBE_LIMIT = 3_000;
/** Between two fresh snapshots that a page asks for, or two renewals the server asks for. */
const RENEW_PAUSE = 5_000;

/** The number of a call that was not answered before the link was lost. */
export const LOST = 0;
const TOKEN_EXPIRED = 109;
const MESSAGE_TOO_BIG = 1009;
const STATE_INVALIDATED = 3014;
const UNSUBSCRIBED_INVALID = 2502;

/** What people read when the server says that coming again is of no use. */
const ENDS = new Map([
  [102, "This server has no such feed."],
  [103, "This token may not see this."],
  [TOKEN_EXPIRED, "This token has expired."],
  [MESSAGE_TOO_BIG, "This page said more than the server takes. Reload it."],
  [3500, "This token is not valid here."],
  [3501, "The server did not understand this page. Reload it."],
  [3503, "The server has ended this connection."],
  [3504, "There are too many connections with this token."],
  [3507, "This token may not be used here."],
  [3508, "The server does not offer what this page needs. Reload it."],
]);

/**
 * Why a call was not done. `code` is the protocol's number, `word` the problem's name (as in
 * `pin_wrong`) or "", `message` a sentence. While `lost`, nobody knows whether it was done: what
 * has an idempotency key is asked again. `temporary` is what may be tried again later.
 */
export class Refused extends Error {
  constructor({ code, message = "", temporary = false }) {
    const [, word = "", text = message] = /^([a-z_]+): (.*)$/s.exec(message) ?? [];
    super(text);
    this.code = code;
    this.word = word;
    this.lost = code === LOST;
    this.temporary = temporary || this.lost || code === 503;
  }
}

/** Whether a close with this code is the last word. */
export const isFinal = (code) =>
  code === MESSAGE_TOO_BIG || (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);

const endText = (code, reason) =>
  ENDS.get(code) ?? `The server ended the connection: ${reason || "no reason given"} (${code}).`;

/** The delay before try number `attempt`, counted from 0. */
const delayFor = (attempt) =>
  Math.min(DELAY_MAX, DELAY_MIN + Math.random() * Math.min(DELAY_MAX, DELAY_MIN * 2 ** attempt));

/** Where sockets are served, beside the folder of this file; pages may lie deeper. */
const socketUrl = () => {
  const url = new URL("../connection/websocket", import.meta.url);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.hash = "";
  url.search = "";
  return url.href;
};

/**
 * One connection that comes back by itself.
 *
 * `state.name` is `connecting`, `live` (connected, and every subscription is up to date),
 * `waiting` (for the next try) or `ended` (for good; `state.code` and `state.text` say why).
 * `onState` hears of each change.
 */
export class Client {
  #token;
  #onState;
  #socket = null;
  #connected = false;
  #opened = 0;
  #pongs = false;
  #pingLimit = Infinity;
  #attempt = 0;
  #lastId = 0;
  /** Replies awaited: id to `{ due, take, lost }`. */
  #awaited = new Map();
  #channels = new Map();
  #retry = 0;
  #watch = 0;
  #listening = new AbortController();

  /** When the server was last heard, by this device's clock. */
  heard = 0;
  state = { name: "connecting" };

  constructor(token, onState = () => {}) {
    this.#token = token;
    this.#onState = onState;
  }

  /**
   * Listens to a channel. `onSnapshot(data)` gets the whole state, `onEvent(data)` what changed
   * since. `data` is passed to the server, as in a filter.
   */
  subscribe(name, { data, onSnapshot, onEvent }) {
    const channel = {
      name, data, onSnapshot, onEvent,
      position: null, live: false, attempt: 0, timer: 0, renewing: 0, renewed: 0,
    };
    this.#channels.set(name, channel);
    if (this.#connected) this.#send([this.#subscribing(channel)]);
  }

  /** Asks for a fresh snapshot of a channel, soon and not too often. */
  renew(name) {
    const channel = this.#channels.get(name);
    if (!channel || channel.renewing) return;
    const wait = Math.max(0, channel.renewed + RENEW_PAUSE - Date.now());
    channel.renewing = setTimeout(() => {
      channel.renewing = 0;
      channel.renewed = Date.now();
      channel.position = null;
      // Else the subscribe that is due, having no position, brings it.
      if (!channel.live) return;
      channel.live = false;
      this.#show();
      this.#send([
        { command: { unsubscribe: { channel: name } }, take: () => {} },
        this.#subscribing(channel),
      ]);
    }, wait);
  }

  /**
   * Calls a method of the API by its name, as in `order.accept`; resolves to its answer. Rejects
   * with `Refused`. What is not connected has lost it at once: this keeps nothing for later.
   */
  call(method, data = {}) {
    return new Promise((resolve, reject) => {
      const lost = () => reject(new Refused({ code: LOST, message: "The connection was lost." }));
      if (!this.#connected) return lost();
      this.#send([{
        command: { rpc: { method, data } },
        take: ({ error, rpc }) => (error ? reject(new Refused(error)) : resolve(rpc.data)),
        lost,
        limit: CALL_LIMIT,
      }]);
    });
  }

  /** Connects, and stays connected. */
  start() {
    const { signal } = this.#listening;
    const wake = () => this.#wake();
    document.addEventListener("visibilitychange", wake, { signal });
    addEventListener("online", wake, { signal });
    addEventListener("offline", wake, { signal });
    addEventListener("pageshow", wake, { signal });
    // A page with an open socket is not kept for the way back; a closed one recovers.
    addEventListener("pagehide", () => this.#lose(), { signal });
    this.#open();
  }

  /** Ends the connection. The client is of no further use. */
  stop() {
    this.#listening.abort();
    this.#drop();
    clearTimeout(this.#retry);
    this.#channels.clear();
  }

  #open() {
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#set({ name: "connecting" });
    const socket = new WebSocket(socketUrl());
    this.#socket = socket;
    this.#opened = Date.now();
    this.#watch = setInterval(() => this.#check(), 1_000);
    socket.onopen = () => {
      this.heard = Date.now();
      const commands = [{
        command: { connect: { token: this.#token, name: "ordercast-page" } },
        take: (reply) => this.#takeConnect(reply),
      }];
      // In the same message: the server goes through it in order, and a round trip is saved.
      for (const channel of this.#channels.values()) commands.push(this.#subscribing(channel));
      this.#send(commands);
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#hear(data);
    };
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#closed(code, reason);
    };
  }

  /** Lets go of the socket, whatever it still has to say. */
  #drop() {
    clearInterval(this.#watch);
    this.#connected = false;
    const awaited = [...this.#awaited.values()];
    this.#awaited.clear();
    for (const { lost } of awaited) lost?.();
    for (const channel of this.#channels.values()) {
      channel.live = false;
      clearTimeout(channel.timer);
      clearTimeout(channel.renewing);
      // What was to be fetched afresh is so with the next connection.
      if (channel.renewing) channel.position = null;
      channel.renewing = 0;
    }
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  /** The link is of no use any more: later, another. */
  #lose() {
    this.#drop();
    if (this.state.name === "ended") return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), delayFor(this.#attempt));
    this.#attempt += 1;
    this.#set({ name: "waiting" });
  }

  #end(code, text) {
    this.#set({ name: "ended", code, text });
    this.#listening.abort();
    clearTimeout(this.#retry);
    this.#drop();
  }

  #closed(code, reason) {
    if (isFinal(code)) return this.#end(code, endText(code, reason));
    if (code === STATE_INVALIDATED) {
      for (const channel of this.#channels.values()) channel.position = null;
    }
    this.#lose();
  }

  /** The page is looked at again, or the network has changed: is the link still good? */
  #wake() {
    if (this.state.name === "ended" || document.visibilityState === "hidden") return;
    if (!this.#socket) {
      this.#attempt = 0;
      return this.#open();
    }
    if (!this.#connected || this.#awaited.size > 0) return;
    const [channel] = this.#channels.keys();
    if (!channel) return;
    // Asks only for the position. An answer comes behind everything published before it, so it
    // proves that nothing is missing.
    const probe = { command: { history: { channel } }, take: () => {}, limit: PROBE_LIMIT };
    this.#send([probe]);
  }

  #check() {
    const now = Date.now();
    const opening = this.#socket.readyState === WebSocket.CONNECTING;
    const late = opening
      ? now > this.#opened + OPEN_LIMIT
      : now > this.heard + this.#pingLimit || [...this.#awaited.values()].some((a) => now > a.due);
    if (late) this.#lose();
  }

  #send(commands) {
    const lines = commands.map(({ command, take, lost, limit = REPLY_LIMIT }) => {
      const id = (this.#lastId += 1);
      this.#awaited.set(id, { due: Date.now() + limit, take, lost });
      return JSON.stringify({ id, ...command });
    });
    this.#socket.send(lines.join("\n"));
  }

  #hear(text) {
    this.heard = Date.now();
    const socket = this.#socket;
    for (const line of text.split("\n")) {
      // What was heard before may have ended the connection.
      if (socket !== this.#socket) return;
      if (line === "") continue;
      let message;
      try {
        message = JSON.parse(line);
      } catch {
        return this.#lose();
      }
      if (message.id) {
        const awaited = this.#awaited.get(message.id);
        this.#awaited.delete(message.id);
        awaited?.take(message);
      } else if (message.push) {
        this.#takePush(message.push);
      } else if (this.#pongs) {
        socket.send("{}");
      }
    }
  }

  #takeConnect({ error, connect }) {
    if (error) {
      if (error.temporary || error.code < 100) return this.#lose();
      return this.#end(error.code, endText(error.code, error.message));
    }
    this.#connected = true;
    this.#pongs = connect.pong === true;
    this.#pingLimit = connect.ping > 0 ? connect.ping * 1_000 + PING_GRACE : Infinity;
    this.#show();
  }

  #subscribing(channel) {
    const subscribe = { channel: channel.name };
    if (channel.data) subscribe.data = channel.data;
    if (channel.position) Object.assign(subscribe, { recover: true }, channel.position);
    return { command: { subscribe }, take: (reply) => this.#takeSubscribe(channel, reply) };
  }

  #takeSubscribe(channel, { error, subscribe }) {
    if (error) {
      if (!error.temporary && error.code >= 100) {
        return this.#end(error.code, endText(error.code, error.message));
      }
      return this.#again(channel, delayFor(channel.attempt++));
    }
    const { epoch, offset = 0 } = subscribe;
    channel.live = true;
    channel.attempt = 0;
    channel.position = { epoch, offset };
    if (subscribe.recovered) {
      for (const publication of subscribe.publications ?? []) this.#publish(channel, publication);
    } else {
      try {
        channel.onSnapshot(subscribe.data);
      } catch (failure) {
        console.error(failure);
        return this.#end(0, "This page could not show what the server sent. Reload it.");
      }
    }
    this.#show();
  }

  #again(channel, delay) {
    clearTimeout(channel.timer);
    channel.timer = setTimeout(() => {
      if (this.#connected && !channel.live) this.#send([this.#subscribing(channel)]);
    }, delay);
  }

  #takePush(push) {
    if (push.disconnect) return this.#closed(push.disconnect.code, push.disconnect.reason);
    const channel = this.#channels.get(push.channel);
    if (!channel?.live) return;
    if (push.pub) this.#publish(channel, push.pub);
    if (push.unsubscribe) {
      const { code, reason } = push.unsubscribe;
      if (code < 2500) return this.#end(code, endText(code, reason));
      if (code === UNSUBSCRIBED_INVALID) channel.position = null;
      channel.live = false;
      this.#show();
      const hasty = Date.now() < channel.renewed + RENEW_PAUSE;
      channel.renewed = Date.now();
      this.#again(channel, hasty ? delayFor(channel.attempt++) : 0);
    }
  }

  #publish(channel, { data, offset }) {
    // What has no offset is not in the log, and neither repeated nor recovered.
    if (offset && offset <= channel.position.offset) return;
    try {
      channel.onEvent(data);
    } catch (failure) {
      console.error(failure);
      this.renew(channel.name);
    }
    if (offset) channel.position.offset = offset;
  }

  /** Says whether everything is up to date. */
  #show() {
    if (!this.#connected) return;
    const live = [...this.#channels.values()].every((channel) => channel.live);
    if (live) this.#attempt = 0;
    this.#set({ name: live ? "live" : "connecting" });
  }

  #set(state) {
    if (this.state.name === "ended") return;
    const same = state.name === this.state.name && state.name !== "ended";
    this.state = state;
    if (!same) this.#onState(state);
  }
}
