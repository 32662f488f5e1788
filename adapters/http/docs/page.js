"use strict";

// element makes an element: text and attributes only, never markup, so that
// nothing in the document can become a part of the page.
function element(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else e.setAttribute(key, value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) e.append(child);
  }
  return e;
}

let api;
const base = new URL(".", location.href);
const key = document.getElementById("key");

function resolve(schema) {
  if (!schema || !schema.$ref) return schema || {};
  return schema.$ref.split("/").slice(1).reduce((at, part) => at[part], api);
}

function refName(schema) {
  return schema && schema.$ref ? schema.$ref.split("/").pop() : "";
}

function typeOf(schema) {
  const name = refName(schema);
  if (name) return name;
  const types = [].concat((schema || {}).type || "any");
  return types.map((t) => (t === "array" ? typeOf(schema.items) + "[]" : t)).join(" or ") + (schema.format ? " (" + schema.format + ")" : "");
}

function rules(schema) {
  const s = resolve(schema);
  const out = [];
  if (s.enum) out.push("one of " + s.enum.join(", "));
  for (const [word, name] of [["at least", "minimum"], ["at most", "maximum"], ["characters at least", "minLength"], ["characters at most", "maxLength"], ["items at most", "maxItems"]]) {
    if (s[name] !== undefined) out.push(word + " " + s[name]);
  }
  if (s.default !== undefined) out.push("default " + JSON.stringify(s.default));
  return out.join("; ");
}

// fields lists the properties of an object, those of objects within on demand.
function fields(schema) {
  const s = resolve(schema);
  const inner = s.type === "array" || (Array.isArray(s.type) && s.type.includes("array")) ? resolve(s.items) : s;
  if (!inner.properties) return element("p", { class: "quiet" }, typeOf(schema));
  const required = inner.required || [];
  return element("div", { class: "schema" }, Object.entries(inner.properties).map(([name, p]) => {
    const line = [element("code", {}, name), " ", element("span", { class: "quiet" }, typeOf(p), required.includes(name) ? ", required" : "", rules(p) ? ", " + rules(p) : ""), p.description ? " – " + p.description : ""];
    const below = resolve(p.items || p);
    if (!below.properties) return element("div", {}, line);
    const more = element("details", {}, element("summary", {}, line));
    more.addEventListener("toggle", () => { if (more.children.length === 1) more.append(fields(below)); });
    return more;
  }));
}

// example makes a body out of what the schema gives as examples.
function example(schema) {
  const s = resolve(schema);
  const out = {};
  for (const [name, p] of Object.entries(s.properties || {})) {
    if (p.examples) out[name] = p.examples[0];
  }
  return out;
}

function quote(text) {
  return "'" + text.replaceAll("'", "'\\''") + "'";
}

function tryIt(method, path, operation) {
  const parameters = operation.parameters || [];
  const inputs = parameters.map((p) => [p, element("input", { "aria-label": p.name, autocomplete: "off" })]);
  const json = operation.requestBody && operation.requestBody.content["application/json"];
  const body = json && element("textarea", { "aria-label": "body", spellcheck: "false" });
  if (body) body.value = JSON.stringify(example(json.schema), null, 2);
  const result = element("div", { "aria-live": "polite" });
  const secured = (operation.security || []).length > 0;

  async function send() {
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [p, input] of inputs) {
      if (p.in === "path") target = target.replace("{" + p.name + "}", encodeURIComponent(input.value));
      else if (input.value !== "" && p.in === "query") query.set(p.name, input.value);
      else if (input.value !== "" && p.in === "header") headers[p.name] = input.value;
    }
    if (query.size) target += "?" + query;
    if (body) headers["Content-Type"] = "application/json";
    if (key.value && secured) {
      const scheme = Object.values(api.components.securitySchemes).find((s) => s.type === "apiKey");
      headers[scheme.name] = key.value;
    }
    const url = location.origin + prefix() + target;
    const shown = Object.entries(headers).map(([n, v]) => " \\\n  -H " + quote(n + ": " + (v === key.value && v ? "…" : v))).join("");
    const curl = "curl" + (method === "get" ? "" : " -X " + method.toUpperCase()) + " " + quote(url) + shown + (body ? " \\\n  -d " + quote(body.value) : "");
    result.replaceChildren(element("h3", {}, "Request"), element("pre", {}, curl));
    const began = performance.now();
    try {
      const answer = await fetch(url, { method: method.toUpperCase(), headers, body: body ? body.value : undefined });
      const text = await answer.text();
      const took = Math.round(performance.now() - began);
      let shownBody = text;
      try { shownBody = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
      result.append(
        element("h3", {}, "Answer: " + answer.status + " " + answer.statusText + ", " + took + " ms"),
        element("pre", { class: "quiet" }, [...answer.headers].map(([n, v]) => n + ": " + v).join("\n")),
        element("pre", {}, shownBody));
    } catch (e) {
      result.append(element("h3", {}, "No answer"), element("pre", {}, String(e)));
    }
  }

  return element("form", { onsubmit: (e) => { e.preventDefault(); send(); } },
    element("h3", {}, "Try it"),
    inputs.length ? element("table", {}, inputs.map(([p, input]) => element("tr", {},
      element("td", {}, element("code", {}, p.name), element("div", { class: "quiet" }, p.in + ", " + typeOf(p.schema) + (p.required ? ", required" : "") + (rules(p.schema) ? ", " + rules(p.schema) : "")), p.description || ""),
      element("td", {}, input)))) : null,
    body || null,
    element("p", {}, element("button", { type: "submit" }, "Send")),
    result);
}

// prefix is what stands before the paths of the document, behind a proxy.
function prefix() {
  return base.pathname.replace(/\/(api-docs\/)?$/, "");
}

function operationView(path, method, operation) {
  const view = element("details", { class: "operation", id: operation.operationId },
    element("summary", {}, element("span", { class: "method " + method }, method.toUpperCase()), element("span", { class: "path" }, path), element("span", { class: "quiet" }, operation.summary || "")));
  view.addEventListener("toggle", () => {
    if (view.children.length > 1) return;
    const json = operation.requestBody && operation.requestBody.content["application/json"];
    view.append(element("div", {},
      operation.description ? element("p", {}, operation.description) : null,
      operation["x-required-permission"] ? element("p", { class: "quiet" }, "Permission: ", element("code", {}, operation["x-required-permission"])) : null,
      json ? [element("h3", {}, "Body"), fields(json.schema)] : null,
      element("h3", {}, "Answers"),
      Object.entries(operation.responses).map(([status, r]) => {
        const [media, content] = Object.entries(r.content || {})[0] || ["", null];
        const line = element("details", { class: "schema" }, element("summary", {}, element("code", {}, status), " " + (r.description || ""), element("span", { class: "quiet" }, " " + media)));
        if (content) line.addEventListener("toggle", () => { if (line.children.length === 1) line.append(fields(content.schema)); });
        return line;
      }),
      tryIt(method, path, operation)));
  });
  return view;
}

function show() {
  document.title = api.info.title;
  document.getElementById("title").textContent = api.info.title + " " + api.info.version;
  document.getElementById("about").replaceChildren(api.info.description || "", " ", element("a", { href: "openapi.json" }, "openapi.json"));
  const index = document.getElementById("index");
  const main = document.getElementById("operations");
  main.replaceChildren();
  for (const tag of api.tags || []) {
    index.append(element("h2", {}, tag.name));
    main.append(element("h2", {}, tag.name), element("p", { class: "quiet" }, tag.description || ""));
    for (const [path, methods] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(methods)) {
        if (!(operation.tags || []).includes(tag.name)) continue;
        const view = operationView(path, method, operation);
        main.append(view);
        index.append(element("a", { href: "#" + operation.operationId, onclick: () => { view.open = true; } }, operation.summary || path));
      }
    }
  }
  const chosen = location.hash && document.getElementById(location.hash.slice(1));
  if (chosen) { chosen.open = true; chosen.scrollIntoView(); }
}

key.value = sessionStorage.getItem("tasker-key") || "";
key.addEventListener("change", () => sessionStorage.setItem("tasker-key", key.value));
fetch("openapi.json").then((r) => r.json()).then((document_) => { api = document_; show(); }).catch((e) => {
  document.getElementById("about").textContent = "The document cannot be read: " + e;
});
