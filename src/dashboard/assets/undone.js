// What a courier's tap or answer did not bring about: it stays until it is put away.

import { holding } from "./holding.js";
import { byId, setText } from "./page.js";

export function tellUndone(text) {
  const list = byId("refused");
  const item = byId("not-done").content.firstElementChild.cloneNode(true);
  setText(item.firstElementChild, text);
  item.lastElementChild.addEventListener("click", () => {
    holding(() => item.remove(), () => list.querySelector("button") ?? byId("next"));
  });
  list.append(item);
}
