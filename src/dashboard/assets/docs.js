// The API as a page: draws /openapi.json and /asyncapi.json, and asks nobody else.

const METHODS = ["get", "head", "post", "put", "patch", "delete"];
/** Deeper than this a schema is only named. */
const DEPTH = 4;

const byId = (id) => document.getElementById(id);

/** An element with attributes and children; texts stay texts. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const nameOf = (schema) => schema.$ref?.split("/").at(-1);
const find = (whole, reference) =>
  reference.slice(2).split("/").reduce((at, key) => at[key.replaceAll("~1", "/")], whole);
const resolved = (whole, node) => (node?.$ref ? find(whole, node.$ref) : node);

/** What a schema is, in a few words. */
function kindOf(schema) {
  const name = nameOf(schema);
  if (name) return name;
  if (schema.oneOf) return schema.oneOf.map(kindOf).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  const kinds = [schema.type ?? "any"].flat();
  return kinds.map((kind) => (kind === "array" ? `${kindOf(schema.items ?? {})}[]` : kind)).join(" | ");
}

/** Its bounds, in a few words. */
function boundsOf(schema) {
  const words = [];
  const say = (key, text) => { if (schema[key] !== undefined) words.push(`${text} ${schema[key]}`); };
  say("format", "format");
  say("minimum", "from");
  say("maximum", "to");
  say("minLength", "at least");
  say("maxLength", "at most");
  say("minItems", "at least");
  say("maxItems", "at most");
  say("pattern", "like");
  if (schema.enum) words.push(schema.enum.join(", "));
  return words.join("; ");
}

/** The schema whose members are worth drawing: through lists and what may be null. */
function inner(schema) {
  if (schema.items) return inner(schema.items);
  const given = schema.oneOf?.filter((one) => one.type !== "null");
  return given?.length === 1 ? inner(given[0]) : schema;
}

function drawMembers(whole, schema, depth) {
  const its = resolved(whole, inner(schema));
  if (!its?.properties || depth >= DEPTH) return null;
  const list = make("ul", { class: "members" });
  for (const [name, member] of Object.entries(its.properties)) {
    const target = resolved(whole, inner(member)) ?? {};
    const must = (its.required ?? []).includes(name);
    list.append(make("li", {},
      make("code", {}, name), " ",
      make("span", { class: "type" }, kindOf(member)),
      must ? make("span", { class: "must" }, " required") : "",
      ...[member.description ?? target.description, boundsOf({ ...target, ...member })]
        .filter(Boolean)
        .map((text) => make("span", { class: "said" }, ` ${text}`)),
      drawMembers(whole, member, depth + 1)));
  }
  return list;
}

function drawSchema(whole, schema) {
  const bounds = boundsOf(resolved(whole, schema) ?? {});
  return make("div", {},
    make("span", { class: "type" }, kindOf(schema)),
    make("span", { class: "said" }, bounds && ` ${bounds}`),
    drawMembers(whole, schema, 0));
}

/** A part that is drawn when it is opened: most never are. */
function fold(id, words, draw) {
  const details = make("details", { id }, make("summary", {}, ...words));
  details.dataset.words = details.textContent.toLowerCase();
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) {
      details.append(make("div", { class: "inside" }, ...draw().filter(Boolean)));
    }
  });
  return details;
}

function drawOperation(whole, operation) {
  const parts = [operation.description ? make("p", {}, operation.description) : null];
  if (operation.parameters?.length) {
    const list = make("ul", { class: "members" });
    for (const { name, in: place, required, schema, description } of operation.parameters) {
      list.append(make("li", {},
        make("code", {}, name), " ",
        make("span", { class: "type" }, `${place} ${kindOf(schema)}`),
        required ? make("span", { class: "must" }, " required") : "",
        make("span", { class: "said" }, ` ${description ?? ""} ${boundsOf(schema)}`)));
    }
    parts.push(make("h3", {}, "Parameters"), list);
  }
  for (const [kind, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    parts.push(make("h3", {}, `Body, ${kind}`), drawSchema(whole, schema));
  }
  for (const [status, answer] of Object.entries(operation.responses)) {
    parts.push(make("h3", {}, status), make("p", { class: "said" }, answer.description));
    for (const { schema } of Object.values(answer.content ?? {})) {
      // Every problem looks the same; what differs is said above.
      if (nameOf(schema) !== "Problem") parts.push(drawSchema(whole, schema));
    }
  }
  return parts;
}

function* routes(whole) {
  for (const { name: tag, description } of whole.tags) {
    const section = make("section", {}, make("h2", {}, tag));
    if (description) section.append(make("p", { class: "said" }, description));
    for (const [path, operations] of Object.entries(whole.paths)) {
      for (const method of METHODS.filter((name) => operations[name]?.tags?.includes(tag))) {
        const operation = operations[method];
        const words = [make("b", {}, method.toUpperCase()), make("code", {}, path),
          make("span", {}, operation.summary ?? "")];
        section.append(fold(operation.operationId, words, () => drawOperation(whole, operation)));
      }
    }
    yield section;
  }
}

function* sockets(whole) {
  const channels = make("section", {}, make("h2", {}, "Channels"));
  for (const [key, channel] of Object.entries(whole.channels)) {
    const words = [make("b", {}, key), make("code", {}, channel.address ?? ""),
      make("span", {}, channel.description)];
    const list = () => Object.keys(channel.messages).map((name) =>
      make("li", {}, make("code", {}, whole.components.messages[name].name)));
    channels.append(fold(`channel-${key}`, words,
      () => [make("h3", {}, "Messages"), make("ul", { class: "members" }, ...list())]));
  }
  yield channels;
  const messages = make("section", {}, make("h2", {}, "Messages and calls"));
  for (const [key, { name, summary, payload }] of Object.entries(whole.components.messages)) {
    const words = [make("code", {}, name), make("span", {}, summary ?? "")];
    messages.append(fold(`message-${key}`, words, () => [drawSchema(whole, payload)]));
  }
  yield messages;
}

function narrow(text) {
  const wanted = text.trim().toLowerCase();
  for (const part of document.querySelectorAll("details")) {
    part.hidden = !part.dataset.words.includes(wanted);
  }
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
}

/** Opens what the address names, as `docs#order.accept`. */
function openNamed() {
  const part = byId(decodeURIComponent(location.hash.slice(1)));
  if (part instanceof HTMLDetailsElement) {
    part.open = true;
    part.scrollIntoView();
  }
}

async function read(name) {
  const answer = await fetch(name);
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`);
  return answer.json();
}

try {
  const [openapi, asyncapi] = await Promise.all([read("openapi.json"), read("asyncapi.json")]);
  byId("content").append(...routes(openapi), ...sockets(asyncapi));
  byId("note").hidden = true;
  byId("find").addEventListener("input", ({ target }) => narrow(target.value));
  addEventListener("hashchange", openNamed);
  openNamed();
} catch (error) {
  byId("note").textContent = `The documents could not be read (${error.message}). Try again later.`;
}
