// The sheet on which a hand-over is proved, by a courier or by a store that does without one: a
// photo, a signature, a scanned code, a PIN. It makes itself, as two pages have it.

import { byId, setText } from "./page.js";
import { canScan, scan } from "./scan.js";

/** Most bytes of a picture; base64 makes a third more of it. */
const PICTURE_MAX = 200_000;
/** Longest side of a photo, in pixels, tried in this order until it is small enough. */
const SIDES = [1_280, 960, 640];
/** How a typed name is written: as by a pen, where the device knows how. */
const HAND = "\"Snell Roundhand\", \"Segoe Script\", \"Dancing Script\", cursive";
const INK = "#111";
const HEADS = { pickup: "Pick-up", dropoff: "Hand over", return: "Bring back" };

const SHEET = `<dialog id="proof" class="prove" aria-labelledby="proof-head">
<form id="proof-form" novalidate>
<h2 id="proof-head"></h2>
<p id="proof-note" class="refusal" role="alert" hidden></p>
<fieldset id="proof-photo" hidden>
<legend>Photo</legend>
<canvas id="photo-view" width="0" height="0" role="img" aria-label="Your photo" hidden></canvas>
<label class="button second"><svg class="icon" aria-hidden="true"><use href="assets/icons.svg#camera"/></svg><span id="photo-word">Take a photo</span><input id="photo-file" type="file" accept="image/*" capture="environment"></label>
</fieldset>
<fieldset id="proof-signature" hidden>
<legend>Signature</legend>
<canvas id="pad" class="pad" width="640" height="240" role="img" aria-label="Field to sign in"></canvas>
<button id="pad-clear" type="button" class="bare">Clear</button>
<label class="signer">Or type the signer’s name <input id="signer" type="text" maxlength="60" autocomplete="off" autocapitalize="words" spellcheck="false"></label>
</fieldset>
<fieldset id="proof-scan" hidden>
<legend>Code on the bag</legend>
<input id="scan-text" type="text" autocomplete="off" autocapitalize="off" spellcheck="false" aria-label="Code on the bag">
<button id="scan-bag" type="button" class="second" hidden><svg class="icon" aria-hidden="true"><use href="assets/icons.svg#scan"/></svg>Scan</button>
</fieldset>
<fieldset id="proof-pin" hidden>
<legend>The customer’s PIN</legend>
<input id="pin-text" class="pin-text" type="text" inputmode="numeric" pattern="[0-9]*" maxlength="4" autocomplete="off" aria-label="The customer’s PIN, four digits">
</fieldset>
<button id="proof-yes" class="big"></button>
<button id="proof-no" type="button" class="second">Back</button>
</form>
</dialog>
`;

let photo = "";
let drawn = false;
let take = null;

const sheet = () => byId("proof");
const pad = () => byId("pad");

/** A picture as base64, without its head. */
const bare = (url) => url.slice(url.indexOf(",") + 1);

/** Reads a file and makes it small; "" when it is no picture. */
async function shrink(file) {
  let picture;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    return "";
  }
  const canvas = byId("photo-view");
  for (const side of SIDES) {
    const by = Math.min(1, side / Math.max(picture.width, picture.height));
    [canvas.width, canvas.height] = [Math.round(picture.width * by), Math.round(picture.height * by)];
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    for (const quality of [0.8, 0.6, 0.4]) {
      const data = bare(canvas.toDataURL("image/jpeg", quality));
      if (data.length * 0.75 <= PICTURE_MAX) return data;
    }
  }
  return "";
}

function complain(text) {
  const note = byId("proof-note");
  setText(note, text);
  note.hidden = !text;
}

function emptyPad() {
  drawn = false;
  const pen = pad().getContext("2d");
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, pad().width, pad().height);
}

function clearPad() {
  emptyPad();
  byId("signer").value = "";
}

/** Writes the signer's name on the pad, for who signs with no finger: the proof is the same. */
function writeName() {
  emptyPad();
  const name = byId("signer").value.trim();
  if (!name) return;
  const { width, height } = pad();
  const pen = pad().getContext("2d");
  const font = (size) => { pen.font = `italic ${size}px ${HAND}`; };
  font(height / 3);
  const by = (width * 0.9) / pen.measureText(name).width;
  if (by < 1) font(Math.floor((height / 3) * by));
  Object.assign(pen, { fillStyle: INK, textAlign: "center", textBaseline: "middle" });
  pen.fillText(name, width / 2, height / 2);
  drawn = true;
}

/** Makes the pad one that can be written on. */
function beWritten() {
  const canvas = pad();
  const pen = canvas.getContext("2d");
  const place = ({ clientX, clientY }) => {
    const box = canvas.getBoundingClientRect();
    return [(clientX - box.left) * canvas.width / box.width, (clientY - box.top) * canvas.height / box.height];
  };
  let writing = false;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    // A hand and a typed name are two signatures.
    if (byId("signer").value) clearPad();
    writing = true;
    pen.beginPath();
    pen.moveTo(...place(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!writing) return;
    drawn = true;
    Object.assign(pen, { lineWidth: 4, lineCap: "round", lineJoin: "round", strokeStyle: INK });
    pen.lineTo(...place(event));
    pen.stroke();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => { writing = false; });
  }
}

/** Makes the sheet, once. */
export function begin() {
  const made = document.createElement("template");
  made.innerHTML = SHEET;
  document.body.append(made.content);
  beWritten();
  byId("pad-clear").addEventListener("click", clearPad);
  byId("signer").addEventListener("input", writeName);
  byId("proof-no").addEventListener("click", () => sheet().close());
  byId("scan-bag").hidden = !canScan();
  byId("scan-bag").addEventListener("click", async () => {
    byId("scan-text").value = await scan(byId("scanner")) || byId("scan-text").value;
  });
  byId("photo-file").addEventListener("change", async ({ target }) => {
    const [file] = target.files;
    target.value = "";
    if (!file) return;
    photo = await shrink(file);
    byId("photo-view").hidden = !photo;
    setText(byId("photo-word"), photo ? "Take another" : "Take a photo");
    complain(photo ? "" : "That picture could not be read.");
  });
  byId("proof-form").addEventListener("submit", (event) => {
    event.preventDefault();
    confirm();
  });
}

/**
 * Asks for these kinds of proof of a hand-over. `given(proofs, pin)` gets the bodies of the proofs
 * and the PIN; `refusal` is what was wrong with the last try.
 */
export function ask(kinds, point, words, given, refusal = "") {
  take = { kinds, point, given };
  photo = "";
  clearPad();
  byId("photo-view").hidden = true;
  setText(byId("photo-word"), "Take a photo");
  byId("scan-text").value = "";
  byId("pin-text").value = "";
  for (const kind of ["photo", "signature", "scan", "pin"]) {
    byId(`proof-${kind}`).hidden = !kinds.includes(kind);
  }
  setText(byId("proof-head"), HEADS[point]);
  setText(byId("proof-yes"), words);
  complain(refusal);
  if (!sheet().open) sheet().showModal();
  if (kinds.includes("pin") && kinds.length === 1) byId("pin-text").focus();
}

function confirm() {
  const { kinds, point, given } = take;
  const [code, pin] = [byId("scan-text").value.trim(), byId("pin-text").value.trim()];
  const proofs = [];
  for (const kind of kinds) {
    if (kind === "photo") {
      if (!photo) return complain("Take the photo first.");
      proofs.push({ point, kind, data: photo, content_type: "image/jpeg" });
    } else if (kind === "signature") {
      if (!drawn) return complain("It is to be signed first, or the signer’s name typed.");
      proofs.push({ point, kind, data: bare(pad().toDataURL("image/png")), content_type: "image/png" });
    } else if (kind === "scan") {
      if (!code) return complain("Scan the code on the bag, or type it.");
      proofs.push({ point, kind, ref: code });
    } else if (!/^\d{4}$/.test(pin)) {
      complain("The PIN has four digits.");
      return byId("pin-text").focus();
    }
  }
  sheet().close();
  given(proofs, pin);
}
