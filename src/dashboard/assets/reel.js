// A long list of which only what is in sight is there: rows of one height in a box that scrolls.
//
// A row keeps its element as long as it is shown, so that focus and a finger stay on what they
// were on; the row that has the focus stays even out of sight. One row at a time can be reached by
// the tab key, the others by arrows.
//
// Absent on purpose: what a row looks like.

/** Rows made beyond the edges, so that fast scrolling shows no holes. */
const MARGIN = 4;

/**
 * A list in `box`, which scrolls and holds one `ol` or `ul`. `make()` returns an `li` with one
 * element that takes the focus (`[data-hold]`); `paint(li, item)` brings it up to date; `idOf(item)`
 * names it. `onLeave(direction)` is told of arrows to the side.
 */
export class Reel {
  #box;
  #list;
  #make;
  #paint;
  #idOf;
  #items = [];
  #index = new Map();
  /** Rows that are there, by id. */
  #rows = new Map();
  #spare = [];
  #current = null;
  #height = 0;
  /** How far it is scrolled and how high it is, as last heard: asking has the browser lay out. */
  #top = 0;
  #high = 0;
  #frame = 0;

  constructor(box, { make, paint, idOf, onLeave = () => {} }) {
    this.#box = box;
    this.#list = box.querySelector("ol, ul");
    [this.#make, this.#paint, this.#idOf] = [make, paint, idOf];
    box.addEventListener("scroll", () => {
      this.#top = box.scrollTop;
      this.#frame ||= requestAnimationFrame(() => {
        this.#frame = 0;
        this.#lay(false);
      });
    }, { passive: true });
    new ResizeObserver(() => {
      this.#measure();
      this.#lay(false);
    }).observe(box);
    box.addEventListener("focusin", (event) => {
      const id = event.target.closest("li")?.dataset.id;
      if (id) this.#choose(id);
    });
    box.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = this.#index.get(this.#current) ?? 0;
      const page = Math.max(1, Math.floor(box.clientHeight / (this.#height || 1)) - 1);
      const to = {
        ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page,
        Home: 0, End: this.#items.length - 1,
      }[event.key];
      const rtl = getComputedStyle(box).direction === "rtl" ? -1 : 1;
      const aside = { ArrowLeft: -rtl, ArrowRight: rtl }[event.key];
      if (to === undefined && !aside) return;
      event.preventDefault();
      if (aside) onLeave(aside, at);
      else this.focusAt(to);
    });
  }

  get length() {
    return this.#items.length;
  }

  /** The list is this now. */
  set(items) {
    this.#items = items;
    this.#index = new Map(items.map((item, nth) => [this.#idOf(item), nth]));
    if (!this.#index.has(this.#current)) this.#current = items[0] ? this.#idOf(items[0]) : null;
    this.#lay(true);
  }

  /** What rows show has changed, and no more. */
  repaint() {
    this.#lay(true);
  }

  has(id) {
    return this.#index.has(id);
  }

  /** Whether this row has the focus. */
  holds(id) {
    return this.#rows.get(id)?.contains(document.activeElement) ?? false;
  }

  /** Gives the focus to a row. Returns whether there is one. */
  focus(id) {
    return this.focusAt(this.#index.get(id) ?? -1);
  }

  focusAt(nth) {
    const at = Math.min(Math.max(nth, 0), this.#items.length - 1);
    if (at < 0 || nth < -1) return false;
    const id = this.#idOf(this.#items[at]);
    this.#choose(id);
    this.reveal(id);
    this.#rows.get(id)?.querySelector("[data-hold]").focus({ preventScroll: true });
    return true;
  }

  /** Scrolls until a row is in sight. */
  reveal(id) {
    const at = this.#index.get(id);
    if (at === undefined) return;
    const top = at * this.#height;
    if (top < this.#top) this.#top = top;
    else if (top + this.#height > this.#top + this.#high) this.#top = top + this.#height - this.#high;
    this.#box.scrollTop = this.#top;
    this.#lay(false);
  }

  #choose(id) {
    if (id === this.#current) return;
    const hold = (of) => this.#rows.get(of)?.querySelector("[data-hold]");
    const [before, after] = [hold(this.#current), hold(id)];
    if (before) before.tabIndex = -1;
    if (after) after.tabIndex = 0;
    this.#current = id;
  }

  /** A row's height is that of its style, and with it of the reader's type. Asked for seldom, as it
   * has the browser work out all styles at once. */
  #measure() {
    [this.#top, this.#high] = [this.#box.scrollTop, this.#box.clientHeight];
    this.#height = parseFloat(getComputedStyle(this.#list).getPropertyValue("--row"))
      * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  #lay(paint) {
    if (!this.#height) this.#measure();
    const row = this.#height;
    if (!row) return;
    const top = Math.min(this.#top, Math.max(0, this.#items.length * row - this.#high));
    const first = Math.max(0, Math.floor(top / row) - MARGIN);
    const last = Math.min(this.#items.length, Math.ceil((top + this.#high) / row) + MARGIN);
    const wanted = new Set();
    for (let nth = first; nth < last; nth += 1) wanted.add(nth);
    for (const [id, element] of this.#rows) {
      const at = this.#index.get(id);
      if (at !== undefined && element.contains(document.activeElement)) wanted.add(at);
      if (at !== undefined && wanted.has(at)) continue;
      this.#rows.delete(id);
      element.remove();
      this.#spare.push(element);
    }
    const long = `${this.#items.length * row}px`;
    if (this.#list.style.height !== long) this.#list.style.height = long;
    const size = String(this.#items.length);
    for (const nth of wanted) {
      const item = this.#items[nth];
      const id = this.#idOf(item);
      let element = this.#rows.get(id);
      const fresh = !element;
      if (fresh) {
        element = this.#spare.pop() ?? this.#make();
        element.dataset.id = id;
        element.querySelector("[data-hold]").tabIndex = id === this.#current ? 0 : -1;
        this.#rows.set(id, element);
      }
      const place = `translateY(${nth * row}px)`;
      if (element.style.transform !== place) element.style.transform = place;
      if (element.getAttribute("aria-posinset") !== String(nth + 1)) {
        element.setAttribute("aria-posinset", nth + 1);
      }
      if (element.getAttribute("aria-setsize") !== size) element.setAttribute("aria-setsize", size);
      if (fresh || paint) this.#paint(element, item);
    }
    this.#sort(wanted);
  }

  /** Elements stand in the order of the list, for those who read it. The one with the focus is not
   * moved, as that would take the focus from it: the others are. */
  #sort(wanted) {
    const list = this.#list;
    let next = list.firstChild;
    for (const nth of [...wanted].sort((a, b) => a - b)) {
      const element = this.#rows.get(this.#idOf(this.#items[nth]));
      if (element !== next && element.contains(document.activeElement)) {
        while (next && next !== element) {
          const behind = next.nextSibling;
          list.append(next);
          next = behind;
        }
      }
      if (element === next) next = next.nextSibling;
      else list.insertBefore(element, next);
    }
  }
}
