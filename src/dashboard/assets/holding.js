// The focus of who works by keyboard: a part that is moved, hidden or replaced while the page is
// drawn would lose it, and they would start again at the top of the page.

/** What had the focus and cannot have it for now, as while a tap of it is sent. */
let lost = null;

const canHold = (part) => part.isConnected && !part.disabled && part.checkVisibility();

/**
 * Draws; then what had the focus has it again, or else what `instead(had)` finds. What has lost it
 * and comes back with a later call gets it then, unless it is elsewhere by that time.
 */
export function holding(draw, instead) {
  const nobody = () => document.activeElement === document.body;
  const had = nobody() ? lost : document.activeElement;
  draw();
  lost = null;
  if (!had || (document.activeElement === had && canHold(had))) return;
  // A dialog that is closed gives it back by itself.
  if (!nobody() && document.activeElement !== had) return;
  const next = [had, instead(had)].find((part) => part && canHold(part));
  if (next) next.focus({ preventScroll: true });
  else lost = had;
}
