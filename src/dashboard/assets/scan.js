// Reads a token from a printed or shown code with the camera, where the browser can.

/** Between two looks at the picture, in milliseconds. */
const LOOK = 200;

/** Whether this browser can. */
export const canScan = () => "BarcodeDetector" in globalThis && Boolean(navigator.mediaDevices?.getUserMedia);

/**
 * Shows the camera in `dialog`, which has a `video` and a button to give up, until a code is seen.
 * Resolves to its text, or "" when nothing was read.
 */
export async function scan(dialog) {
  const video = dialog.querySelector("video");
  let stream = null;
  let open = true;
  const closed = () => { open = false; };
  dialog.addEventListener("close", closed, { once: true });
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    await video.play();
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    while (open) {
      const [code] = await detector.detect(video);
      if (code?.rawValue) return code.rawValue;
      await new Promise((resolve) => { setTimeout(resolve, LOOK); });
    }
    return "";
  } catch {
    // No camera, or nobody may use it: there is still the field.
    return "";
  } finally {
    for (const track of stream?.getTracks() ?? []) track.stop();
    video.srcObject = null;
    dialog.removeEventListener("close", closed);
    dialog.close();
  }
}

/** The token in what was pasted or scanned: itself, or the link that carries it. */
export function tokenIn(text) {
  const given = text.trim();
  const at = given.indexOf("#");
  return (at < 0 ? null : new URLSearchParams(given.slice(at + 1)).get("token")?.trim()) || given;
}
