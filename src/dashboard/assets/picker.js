// Choosing a courier by keyboard: a field that narrows a list, the best first, and why not.

import { setText } from "./page.js";

/** Couriers that are listed at once; typing finds the others. */
const SHOWN = 40;

/**
 * `find(text)` gives rows `{id, name, sub, far, refusal}`. `ask(title)` resolves to the id that was
 * chosen, or "".
 */
export class Picker {
  #dialog;
  #field;
  #list;
  #none;
  #rows = [];
  #active = 0;
  #find = () => [];
  #done = () => {};

  constructor(dialog) {
    this.#dialog = dialog;
    this.#field = dialog.querySelector("input");
    this.#list = dialog.querySelector("[role=listbox]");
    this.#none = dialog.querySelector(".none");
    this.#field.addEventListener("input", () => this.#fill());
    this.#field.addEventListener("keydown", (event) => {
      const to = {
        ArrowDown: this.#active + 1, ArrowUp: this.#active - 1,
      }[event.key];
      if (to !== undefined) {
        event.preventDefault();
        this.#activate(to);
      } else if (event.key === "Enter") {
        event.preventDefault();
        this.#choose(this.#rows[this.#active]);
      }
    });
    this.#list.addEventListener("click", (event) => {
      const id = event.target.closest("[role=option]")?.dataset.id;
      this.#choose(this.#rows.find((row) => row.id === id));
    });
    dialog.addEventListener("close", () => this.#done(""));
  }

  ask(title, find) {
    setText(this.#dialog.querySelector("h2"), title);
    this.#find = find;
    this.#field.value = "";
    this.#dialog.showModal();
    this.#fill();
    this.#field.focus();
    return new Promise((resolve) => { this.#done = resolve; });
  }

  #choose(row) {
    if (!row || row.refusal) return;
    this.#done(row.id);
    this.#dialog.close();
  }

  #fill() {
    this.#rows = this.#find(this.#field.value).slice(0, SHOWN);
    this.#list.replaceChildren(...this.#rows.map((row, nth) => {
      const option = document.createElement("li");
      option.id = `picker-${nth}`;
      option.dataset.id = row.id;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      if (row.refusal) option.setAttribute("aria-disabled", "true");
      for (const [name, text] of [["name", row.name], ["far", row.far], ["sub", row.refusal || row.sub]]) {
        const part = document.createElement("span");
        part.className = `p-${name}`;
        part.textContent = text;
        option.append(part, " ");
      }
      return option;
    }));
    this.#none.hidden = this.#rows.length > 0;
    this.#activate(0);
  }

  #activate(nth) {
    this.#list.children[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = Math.min(Math.max(nth, 0), this.#rows.length - 1);
    const option = this.#list.children[this.#active];
    if (!option) return this.#field.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    this.#field.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }
}

/** Asks why: resolves to `{reason, note}`, or null. */
export function askReason(dialog, title, reasons, words) {
  const [code, note, need] = ["code", "note", "need"].map((name) => dialog.querySelector(`#reasons-${name}`));
  setText(dialog.querySelector("h2"), title);
  setText(dialog.querySelector("#reasons-do"), title);
  code.replaceChildren(...reasons.map((reason) => new Option(words(reason), reason)));
  note.value = "";
  const check = () => {
    note.required = code.value === "other";
    setText(need, note.required ? "(say what happened)" : "(if it helps)");
  };
  code.onchange = check;
  check();
  dialog.returnValue = "";
  dialog.showModal();
  code.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "do") return resolve(null);
      const said = note.value.trim();
      resolve(said ? { reason: code.value, note: said } : { reason: code.value });
    }, { once: true });
  });
}
