// Keeps the screen on while there is something to watch, where the browser can.

let wanted = false;
let lock = null;
let asking = false;

async function hold() {
  if (!wanted || lock || asking || document.visibilityState === "hidden") return;
  asking = true;
  try {
    lock = await navigator.wakeLock?.request("screen") ?? null;
    // The browser takes it back whenever the page is out of sight.
    lock?.addEventListener("release", () => { lock = null; });
    if (!wanted) lock?.release();
  } catch {
    // A low battery says no; the page works all the same.
  } finally {
    asking = false;
  }
}

document.addEventListener("visibilitychange", hold);

/** Whether the screen is to stay on from now on. */
export function keepAwake(on) {
  wanted = on;
  if (on) hold();
  else lock?.release();
}
