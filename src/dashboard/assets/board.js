// The board itself: holds together what it knows (fleet.js), shows (tickets, crew, dossier, map)
// and does (dispatching.js says what may be done, the client does it).

import { Acting } from "./acting.js";
import { Alarms } from "./alarms.js";
import { candidates, mateMaker, paintMate } from "./crew.js";
import { assignRefusal, columnMove } from "./dispatching.js";
import { Dossier } from "./dossier.js";
import { dragging } from "./dragging.js";
import { Filters } from "./filters.js";
import { COLUMNS, Fleet, LINGER, lateness } from "./fleet.js";
import { isFinished } from "./fold.js";
import { CityMap } from "./citymap.js";
import { Reel } from "./reel.js";
import { byId, clock, setText } from "./page.js";
import { paintTicket, ticketMaker } from "./tickets.js";

const CHANNEL = "dispatch";
/** Between two pictures of lists that change, in milliseconds. */
const GAP = 150;
/** Between two looks at what time alone changes. */
const TICK = 5_000;
/** Orders whose past is read after a snapshot, one after the other. */
const RECALLED_MAX = 50;
/** Rows of a page of couriers and stores, and pages read at most. */
const PAGE = 100;
const PAGES_MAX = 200;

export class Board {
  #client = null;
  #token = "";
  #fleet = new Fleet();
  #lanes = new Map();
  #crew;
  #dossier;
  #map;
  #alarms;
  #acting;
  #filters;
  #selected = null;
  /** The order that is dragged, for which couriers are listed. */
  #dragged = null;
  #stale = new Set(["lanes", "crew", "alarms"]);
  #timer = 0;
  #drawn = 0;
  /** How many couriers and stores there are, in words. */
  #duty = "";
  #names = {
    courier: (id) => this.#fleet.courierName(id),
    store: (id) => this.#fleet.storeName(id),
  };

  constructor() {
    const make = ticketMaker(byId("ticket"));
    for (const name of COLUMNS) {
      const section = document.querySelector(`.lane[data-column="${name}"]`);
      const reel = new Reel(section.querySelector(".lane-box"), {
        make,
        idOf: ({ order }) => order.id,
        paint: (element, entry) => paintTicket(element, entry, {
          now: clock.now(),
          doubts: this.#fleet.doubts(entry, clock.now()),
          selected: entry.order.id === this.#selected,
        }),
        onLeave: (direction, at) => this.#goAside(name, direction, at),
      });
      this.#lanes.set(name, {
        section, reel,
        count: section.querySelector("[data-count]"),
        late: section.querySelector("[data-late]"),
        none: section.querySelector(".none"),
      });
    }
    const box = document.querySelector(".crew-box");
    this.#crew = new Reel(box, {
      make: mateMaker(byId("mate")),
      idOf: ({ courier }) => courier.id,
      paint: (element, mate) => paintMate(element, mate, {
        fleet: this.#fleet,
        now: clock.now(),
        order: this.#orderAtHand(),
        chosen: mate.courier.id === this.#map.chosen,
      }),
    });
    this.#dossier = new Dossier(byId("dossier"), {
      assign: (id) => this.#acting.askCourier(id),
      act: (id, action) => this.#acting.act(id, action),
      note: (id, note) => this.#acting.do(id, "order.note", { note }, "Note added"),
      close: () => this.select(null),
      read: (path) => this.#read(path),
    });
    this.#map = new CityMap(byId("map"), this.#fleet, {
      onPick: (kind, id) => this.#picked(kind, id),
      onMove: () => {
        if (this.#filters.area) this.#mark("lanes");
      },
    });
    this.#filters = new Filters(this.#fleet, {
      bounds: () => this.#map.bounds(),
      onChange: () => {
        this.#mark("lanes");
        this.#map.narrow(this.#filters.parties());
        this.#map.frame(this.#filters.store || this.#filters.courier);
      },
    });
    this.#alarms = new Alarms(byId("alarms"), {
      names: this.#names,
      onOpen: (alarm) => (alarm.order ? this.select(alarm.order.id, { bring: true, enter: true }) : this.#filters.showStore(alarm.store)),
      say: (words) => this.#say(words),
    });
    this.#acting = new Acting(this.#fleet, {
      client: () => this.#client,
      onPending: () => this.#mark("lanes"),
      onDone: (id) => {
        this.#mark("crew", "alarms");
        const order = this.#fleet.entries.get(id)?.order;
        if (order && id === this.#selected) this.#map.order(order);
      },
    });
    this.#listen(box);
    setInterval(() => this.#tick(), TICK);
    document.addEventListener("visibilitychange", () => this.#tick());
  }

  /** Follows `dispatch` with this client. */
  begin(client, token) {
    [this.#client, this.#token] = [client, token];
    for (const id of [...this.#fleet.entries.keys()]) this.#fleet.forget(id);
    const [stores, places] = [this.#fleet.stores, this.#fleet.places].map((known) => [...known.keys()]);
    for (const known of [this.#fleet.couriers, this.#fleet.stores, this.#fleet.places]) known.clear();
    this.select(null);
    for (const id of stores) this.#map.store(id);
    for (const id of places) this.#map.courier(id);
    client.subscribe(CHANNEL, {
      onSnapshot: (snapshot) => this.#replace(snapshot),
      onEvent: (event) => this.#hear(event),
    });
    return "";
  }

  onState({ name }) {
    document.body.dataset.link = name;
  }

  // What is heard

  #replace(snapshot) {
    clock.set(snapshot.at);
    this.#fleet.replace(snapshot);
    byId("truncated").hidden = !this.#fleet.truncated;
    document.body.dataset.loaded = "yes";
    for (const id of ["filters", "views", "unfold"]) byId(id).hidden = false;
    if (this.#selected && !this.#fleet.entries.has(this.#selected)) this.select(null);
    this.#mark("lanes", "crew", "alarms");
    this.#map.everything();
    this.#readParties(this.#client);
    this.#recall(this.#client);
  }

  /** What alarms a snapshot does not tell of, from the past of the orders that may be their cause. */
  async #recall(client) {
    for (const id of this.#fleet.unclaimed().slice(0, RECALLED_MAX)) {
      try {
        const { events } = await this.#read(`v1/orders/${id}/events?limit=200`);
        if (client !== this.#client) return;
        if (this.#fleet.recall(id, events)) this.#mark("alarms");
      } catch (failure) {
        // With the next snapshot it is tried again.
        return console.error(failure);
      }
    }
  }

  #hear(event) {
    if (event.type === "driver.location") {
      const place = event.data ?? event;
      if (this.#fleet.locate({ driver: event.driver, ...place })) {
        this.#map.courier(place.driver ?? event.driver);
        this.#mark("crew");
      }
      return;
    }
    const entry = this.#fleet.hear(event);
    if (entry === "unknown") return this.#client.renew(CHANNEL);
    if (event.driver && event.type === "driver.duty" && !this.#fleet.couriers.has(event.driver)) {
      this.#readCourier(event.driver);
    }
    if (!event.order || event.type.startsWith("courier.") || event.type === "driver.duty") this.#mark("crew");
    if (event.driver) this.#map.courier(event.driver);
    if (event.type === "store.deleted") this.#map.store(event.store);
    if (event.order && event.order === this.#selected) {
      const known = this.#fleet.entries.get(event.order);
      if (known) this.#dossier.hear(event, known.order.store.tz, this.#names);
    }
    if (!entry) return this.#mark("alarms");
    if (isFinished(entry.order)) {
      this.#mark("crew");
      entry.gone ||= setTimeout(() => this.#leave(entry), LINGER);
    }
    this.#mark("lanes", "alarms");
    if (entry.order.driver) this.#map.courier(entry.order.driver.id);
    if (entry.order.id === this.#selected) this.#map.order(entry.order);
  }

  #leave(entry) {
    const { id } = entry.order;
    entry.gone = 0;
    if (this.#fleet.entries.get(id) !== entry || !isFinished(entry.order)) return;
    // Whoever looks at it may read on; it is off the board.
    if (id === this.#selected) return void (entry.gone = setTimeout(() => this.#leave(entry), LINGER));
    this.#fleet.forget(id);
    this.#mark("lanes");
  }

  async #read(path) {
    const answer = await fetch(path, { headers: { authorization: `Bearer ${this.#token}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return answer.json();
  }

  /** Couriers and stores, page by page. */
  async #readParties(client) {
    const all = async (name, known) => {
      const there = new Set();
      let cursor = "";
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const answer = await this.#read(`v1/${name}?limit=${PAGE}${cursor && `&cursor=${cursor}`}`);
        if (client !== this.#client) return;
        for (const one of answer[name]) {
          there.add(one.id);
          known.set(one.id, one);
        }
        this.#mark("crew", "lanes");
        if (!answer.next) break;
        cursor = encodeURIComponent(answer.next);
      }
      for (const id of known.keys()) if (!there.has(id)) known.delete(id);
    };
    try {
      await all("stores", this.#fleet.stores);
      await all("drivers", this.#fleet.couriers);
    } catch (failure) {
      // The orders are there all the same, and with the next snapshot it is tried again.
      console.error(failure);
    }
    if (client !== this.#client) return;
    this.#filters.offer();
    this.#map.everything();
    this.#mark("crew", "lanes", "alarms");
  }

  async #readCourier(id) {
    try {
      this.#fleet.couriers.set(id, await this.#read(`v1/drivers/${id}`));
      this.#filters.offer();
      this.#map.courier(id);
      this.#mark("crew");
    } catch {
      // It is gone already.
    }
  }

  // What is shown

  #mark(...parts) {
    for (const part of parts) this.#stale.add(part);
    if (this.#timer) return;
    const wait = Math.max(0, this.#drawn + GAP - performance.now());
    this.#timer = setTimeout(() => requestAnimationFrame(() => this.#draw()), wait);
  }

  #draw() {
    this.#timer = 0;
    this.#drawn = performance.now();
    const stale = this.#stale;
    this.#stale = new Set();
    if (stale.has("lanes")) this.#drawLanes();
    if (stale.has("crew")) this.#drawCrew();
    if (stale.has("crew") || stale.has("lanes")) this.#drawMapWords();
    if (stale.has("alarms")) {
      const alarms = this.#fleet.alarms(clock.now());
      this.#alarms.show(alarms, clock.now(), document.body.dataset.loaded === "yes");
      this.#map.alarm(alarms);
    }
    this.#drawDossier();
  }

  #drawLanes() {
    const now = clock.now();
    const focused = document.activeElement?.closest?.(".ticket")?.dataset.id;
    const lane = focused && [...this.#lanes.values()].find(({ reel }) => reel.holds(focused));
    const passes = this.#filters.passes();
    let [open, late] = [0, 0];
    for (const [name, { section, reel, count, late: lateWord, none }] of this.#lanes) {
      const entries = this.#fleet.column(name, passes);
      reel.set(entries);
      const alive = entries.filter(({ order }) => !isFinished(order));
      const behind = alive.filter((entry) => lateness(entry, now) > 0).length;
      open += alive.length;
      late += behind;
      setText(count, String(alive.length));
      setText(lateWord, behind ? `${behind} late` : "");
      none.hidden = entries.length > 0;
      if (name === "scheduled") section.hidden = entries.length === 0;
    }
    // Whoever was on a card that has moved goes with it, and else stays where it was.
    if (lane && !lane.reel.holds(focused)) {
      const there = [...this.#lanes.values()].find(({ reel }) => reel.has(focused));
      if (!there?.reel.focus(focused)) lane.reel.focusAt(0);
    }
    this.#map.narrow(this.#filters.parties());
    setText(byId("open"), String(open));
    setText(byId("late-sum"), `${late} late`);
    byId("late-sum").hidden = late === 0;
    document.title = `${open} open${late ? `, ${late} late` : ""} · Dispatch · ordercast`;
  }

  /** The order that couriers are listed for. */
  #orderAtHand() {
    const entry = this.#fleet.entries.get(this.#dragged);
    return entry?.order ?? null;
  }

  #drawCrew() {
    const order = this.#orderAtHand();
    const mates = candidates(this.#fleet, order);
    this.#crew.set(mates);
    const working = mates.filter(({ courier }) => courier.duty === "on").length;
    setText(byId("crew-count"), String(working));
    byId("crew").querySelector(".none").hidden = mates.length > 0;
    byId("crew-for").hidden = !order;
    if (order) setText(byId("crew-for"), `For ${order.short_code}: the nearest with room first`);
    const free = mates.filter(({ courier, load }) => courier.duty === "on" && load === 0).length;
    this.#duty = `${working} couriers on duty, ${free} free · ${this.#fleet.stores.size} stores`;
  }

  /** What the map shows, in words. */
  #drawMapWords() {
    const shown = this.#map.shown();
    const count = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
    const words = shown && `Filtered: ${count(shown.couriers, "courier")} and ${count(shown.stores, "store")} on the map`;
    setText(byId("map-words"), words ?? this.#duty);
  }

  #drawDossier() {
    const entry = this.#fleet.entries.get(this.#selected);
    if (!entry) return;
    const driver = entry.order.driver?.id;
    const gps = driver ? this.#fleet.gpsAge(driver, clock.now()) : null;
    this.#dossier.paint(entry, this.#names, clock.now(), gps !== null && gps > 60_000 ? gps : null);
  }

  #tick() {
    if (document.visibilityState !== "hidden") this.#mark("lanes", "crew", "alarms");
  }

  /**
   * Shows an order beside the board, or none. `bring` brings its card into sight, `enter` the focus
   * to the order.
   */
  select(id, { bring = false, enter = false } = {}) {
    const entry = this.#fleet.entries.get(id);
    const before = this.#selected;
    const inside = byId("dossier").contains(document.activeElement);
    this.#selected = entry ? id : null;
    byId("dossier-tab").hidden = !entry;
    if (entry) {
      setText(byId("dossier-tab"), `Order ${entry.order.short_code}`);
      this.#dossier.open(entry, this.#names);
      this.#map.order(entry.order, true);
      if (bring) this.#lanes.get(entry.column)?.reel.reveal(id);
      document.body.dataset.view = "map";
    } else {
      this.#dossier.close();
      this.#map.order(null);
      if (before) document.body.dataset.view = "orders";
    }
    this.#pressView();
    this.#tab(entry ? "dossier" : "crew");
    for (const { reel } of this.#lanes.values()) reel.repaint();
    if (entry && enter) byId("dossier").focus();
    // Whoever was in what is closed goes back to where it came from.
    if (!entry && inside) [...this.#lanes.values()].find(({ reel }) => reel.has(before))?.reel.focus(before);
  }

  #tab(name) {
    for (const which of ["crew", "dossier"]) {
      const here = which === name;
      byId(which).hidden = !here;
      byId(`${which}-tab`).setAttribute("aria-selected", String(here));
      byId(`${which}-tab`).tabIndex = here ? 0 : -1;
    }
    this.#mark("crew");
  }

  #pressView() {
    for (const button of byId("views").children) {
      button.setAttribute("aria-pressed", String(button.dataset.view === document.body.dataset.view));
    }
  }

  #picked(kind, id) {
    if (kind === "courier") {
      const orders = [...(this.#fleet.loads.get(id) ?? [])];
      if (orders.length > 0 && !orders.includes(this.#selected)) return this.select(orders[0], { bring: true });
      this.#map.choose(id);
      this.#tab("crew");
      this.#crew.reveal(id);
    } else if (kind === "store") {
      this.#filters.showStore(id);
    } else if (this.#selected) {
      this.select(null);
    }
  }

  #goAside(name, direction, at) {
    const names = COLUMNS.filter((other) => !this.#lanes.get(other).section.hidden);
    for (let nth = names.indexOf(name) + direction; names[nth]; nth += direction) {
      const { reel, section } = this.#lanes.get(names[nth]);
      if (reel.length === 0) continue;
      section.scrollIntoView({ block: "nearest", inline: "nearest" });
      return reel.focusAt(Math.min(at, reel.length - 1));
    }
    return false;
  }

  // What is done

  #listen(scrolls) {
    byId("lanes").addEventListener("click", (event) => {
      const id = event.target.closest(".ticket")?.dataset.id;
      // A click without a pointer is a key.
      if (id) this.select(id === this.#selected ? null : id, { enter: event.detail === 0 });
    });
    byId("lanes").addEventListener("keydown", (event) => {
      const id = event.target.closest(".ticket")?.dataset.id;
      if (!id || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key.toLowerCase() !== "a") return;
      event.preventDefault();
      this.#acting.askCourier(id);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]")) {
        this.select(null);
      }
    });
    document.querySelector(".crew-box").addEventListener("click", (event) => {
      const id = event.target.closest(".mate")?.dataset.id;
      if (id) {
        this.#map.choose(id, true);
        this.#crew.repaint();
      }
    });
    const tabs = ["crew", "dossier"];
    for (const name of tabs) {
      byId(`${name}-tab`).addEventListener("click", () => this.#tab(name));
      byId(`${name}-tab`).addEventListener("keydown", (event) => {
        if (!["ArrowLeft", "ArrowRight"].includes(event.key) || byId("dossier-tab").hidden) return;
        const other = tabs.find((tab) => tab !== name);
        this.#tab(other);
        byId(`${other}-tab`).focus();
      });
    }
    byId("views").addEventListener("click", (event) => {
      const view = event.target.closest("button")?.dataset.view;
      if (!view) return;
      document.body.dataset.view = view;
      this.#pressView();
    });
    let before = "crew";
    dragging({
      idAt: (element) => element.closest?.(".ticket")?.dataset.id ?? null,
      title: (id) => this.#fleet.entries.get(id)?.order.short_code ?? "",
      scrolls: () => scrolls,
      targetAt: (element, x, y) => this.#targetAt(element, x, y),
      judge: (id, key) => this.#judge(id, key),
      drop: (id, key, refusal) => {
        if (key?.courier) this.#acting.assign(id, key.courier);
        else if (key?.column) this.#acting.act(id, columnMove(...this.#standing(id), key.column)?.action);
        else if (refusal) this.#acting.tell(`Refused: ${refusal}`, "bad");
      },
      onStart: (id) => {
        this.#dragged = id;
        before = byId("crew").hidden ? "dossier" : "crew";
        this.#tab("crew");
        scrolls.scrollTop = 0;
        this.#drawCrew();
      },
      onEnd: () => {
        this.#dragged = null;
        this.#tab(before);
      },
    });
  }

  #standing(id) {
    const { order, column } = this.#fleet.entries.get(id);
    return [order, column];
  }

  #targetAt(element, x, y) {
    const mate = element?.closest(".mate");
    if (mate) return { key: { courier: mate.dataset.id }, mark: mate };
    if (element?.closest("#map")) {
      const courier = this.#map.courierAt(x, y);
      return courier ? { key: { courier }, mark: byId("map") } : null;
    }
    const lane = element?.closest(".lane");
    return lane ? { key: { column: lane.dataset.column }, mark: lane } : null;
  }

  #judge(id, { courier, column }) {
    if (!this.#fleet.entries.has(id)) return { refusal: "It is over" };
    const [order, own] = this.#standing(id);
    if (column) {
      const move = columnMove(order, own, column);
      return move?.action ? { words: move.words } : move;
    }
    const mate = this.#fleet.couriers.get(courier);
    if (!mate) return { refusal: "Not known" };
    const refusal = assignRefusal(order, mate, this.#fleet.load(courier));
    const name = mate.display_name ?? mate.name;
    if (refusal) return { refusal: `${name}: ${refusal.toLowerCase()}` };
    return { words: order.driver ? `Hand over to ${name}` : `Assign to ${name}` };
  }

  #say(words) {
    setText(byId("polite"), words);
  }
}

