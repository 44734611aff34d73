// Moving a map (map.js) by mouse, fingers and keys, and its buttons.

/** Makes `canvas` in `host` movable by `does`, until `does.signal` ends it. */
export function giveHands(host, canvas, does) {
  const { signal } = does;
  host.dataset.interactive = "yes";
  host.tabIndex = 0;
  addButtons(host, does);
  const hands = new Map();
  let travelled = 0;
  const spread = () => {
    const [a, b] = [...hands.values()];
    return Math.hypot(a.x - b.x, a.y - b.y);
  };
  const listen = (name, run, more) => canvas.addEventListener(name, run, { signal, ...more });
  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return { x: clientX - box.left, y: clientY - box.top };
  };
  listen("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    hands.set(event.pointerId, place(event));
    travelled = hands.size > 1 ? Infinity : 0;
  });
  listen("pointermove", (event) => {
    const before = hands.get(event.pointerId);
    if (!before) {
      const hit = does.hit(event, place(event));
      canvas.dataset.hand = hit ? "pick" : "";
      return;
    }
    const now = place(event);
    const wide = hands.size === 2 ? spread() : 0;
    hands.set(event.pointerId, now);
    travelled += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled < 5) return;
    canvas.dataset.hand = "drag";
    const share = hands.size;
    does.pan((now.x - before.x) / share, (now.y - before.y) / share);
    if (wide > 0) {
      const [a, b] = [...hands.values()];
      does.zoom(spread() / wide, (a.x + b.x) / 2, (a.y + b.y) / 2);
    }
  });
  const release = (event) => {
    if (!hands.delete(event.pointerId)) return;
    canvas.dataset.hand = "";
    if (event.type !== "pointerup" || travelled >= 5) return;
    does.pick(event, place(event));
  };
  listen("pointerup", release);
  listen("pointercancel", release);
  listen("wheel", (event) => {
    event.preventDefault();
    const { x, y } = place(event);
    does.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), x, y);
  }, { passive: false });
  host.addEventListener("keydown", (event) => {
    if (event.target !== host || event.ctrlKey || event.metaKey || event.altKey) return;
    const done = {
      ArrowLeft: () => does.pan(60, 0),
      ArrowRight: () => does.pan(-60, 0),
      ArrowUp: () => does.pan(0, 60),
      ArrowDown: () => does.pan(0, -60),
      "+": () => does.zoom(1.6, undefined, undefined, true),
      "=": () => does.zoom(1.6, undefined, undefined, true),
      "-": () => does.zoom(1 / 1.6, undefined, undefined, true),
      0: () => does.all(),
    }[event.key];
    if (!done) return;
    event.preventDefault();
    done();
  }, { signal });
}

function addButtons(host, does) {
  const hands = document.createElement("div");
  hands.className = "plot-hands";
  for (const [sign, name, run] of [
    ["+", "Zoom in", () => does.zoom(1.8, undefined, undefined, true)],
    ["−", "Zoom out", () => does.zoom(1 / 1.8, undefined, undefined, true)],
    ["⤢", "Show all", () => does.all()],
  ]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = sign;
    button.title = name;
    button.setAttribute("aria-label", name);
    button.addEventListener("click", run, { signal: does.signal });
    hands.append(button);
  }
  host.append(hands);
}
