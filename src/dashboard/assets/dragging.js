// Dragging a card by mouse, pen or finger (which rests on it for a moment first), with the verdict
// of whatever lies under it said before it is let go.

/** How far a mouse moves until it drags, in pixels. */
const SLACK = 6;
/** How long a finger rests until it drags, in milliseconds. */
const REST = 350;
/** Near an edge of a list that scrolls, in pixels. */
const EDGE = 48;

/**
 * `idAt(element)` names what is dragged, or null; `onStart(id)`, `onEnd()`; `targetAt(element, x, y)`
 * gives `{key, mark}`: what lies there and the element that shows it; `judge(id, key)` gives
 * `{words}` or `{refusal}`, or null if nothing would happen; `drop(id, key)`; `title(id)`.
 */
export function dragging({ idAt, targetAt, judge, onStart, onEnd, drop, title, scrolls }) {
  let held = null;
  let ghost = null;
  let marked = null;

  const start = () => {
    clearTimeout(held.resting);
    held.drags = true;
    ghost = document.createElement("div");
    ghost.className = "ghost";
    ghost.append(document.createElement("b"), document.createElement("span"));
    ghost.firstElementChild.textContent = title(held.id);
    document.body.append(ghost);
    document.body.dataset.dragging = "yes";
    navigator.vibrate?.(10);
    onStart(held.id);
    move();
  };
  const mark = (element, as) => {
    if (marked && marked !== element) delete marked.dataset.drop;
    marked = element ?? null;
    if (marked) marked.dataset.drop = as;
  };
  const move = () => {
    const { x, y, id } = held;
    ghost.style.transform = `translate(${x}px, ${y}px)`;
    const target = targetAt(document.elementFromPoint(x, y), x, y);
    const verdict = target ? judge(id, target.key) : null;
    held.target = verdict?.words ? target.key : null;
    ghost.lastElementChild.textContent = verdict?.words ?? verdict?.refusal ?? "";
    ghost.dataset.verdict = verdict?.words ? "yes" : verdict?.refusal ? "no" : "";
    mark(verdict ? target.mark : null, verdict?.words ? "yes" : "no");
    held.refusal = verdict?.refusal ?? "";
    const box = scrolls();
    const { top, bottom, left, right } = box.getBoundingClientRect();
    if (x > left && x < right) {
      if (y > top && y < top + EDGE) box.scrollTop -= 12;
      if (y < bottom && y > bottom - EDGE) box.scrollTop += 12;
    }
  };
  const end = (done) => {
    if (!held) return;
    const { drags, id, target, refusal, frame } = held;
    clearTimeout(held.resting);
    cancelAnimationFrame(frame);
    held = null;
    if (!drags) return;
    ghost.remove();
    mark(null);
    delete document.body.dataset.dragging;
    onEnd();
    // The click that follows is part of the drag.
    const swallow = (event) => {
      event.preventDefault();
      event.stopPropagation();
    };
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", swallow, { capture: true }), 0);
    if (done) drop(id, target, refusal);
  };

  document.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || held || !event.isPrimary) return;
    const id = idAt(event.target);
    if (!id) return;
    const { clientX: x, clientY: y } = event;
    held = { id, x, y, from: { x, y }, pointer: event.pointerId, drags: false, frame: 0 };
    if (event.pointerType === "touch") held.resting = setTimeout(start, REST);
  });
  document.addEventListener("pointermove", (event) => {
    if (!held || event.pointerId !== held.pointer) return;
    [held.x, held.y] = [event.clientX, event.clientY];
    const far = Math.hypot(held.x - held.from.x, held.y - held.from.y);
    if (!held.drags) {
      if (far < SLACK) return;
      // A finger that moves at once scrolls.
      if (event.pointerType === "touch") return end(false);
      return start();
    }
    held.frame ||= requestAnimationFrame(() => {
      if (!held) return;
      held.frame = 0;
      move();
    });
  });
  document.addEventListener("pointerup", (event) => {
    if (!held || event.pointerId !== held.pointer) return;
    if (held.drags) {
      [held.x, held.y] = [event.clientX, event.clientY];
      move();
    }
    end(true);
  });
  document.addEventListener("pointercancel", () => end(false));
  document.addEventListener("touchmove", (event) => {
    if (held?.drags) event.preventDefault();
  }, { passive: false });
  document.addEventListener("contextmenu", (event) => {
    if (held) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !held?.drags) return;
    event.stopPropagation();
    end(false);
  }, { capture: true });
}
