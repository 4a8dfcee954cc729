// The editor saves by itself while one types, shows what is wrong where it is, and keeps what could not be saved.

import { sayThatSignedOut } from "./console.js";
import { forget, keep, kept } from "./typing.js";

const WAIT_MS = 700;
const RETRY_MS = 4000;
const editor = document.querySelector("[data-editor]");
const form = editor.querySelector("form[data-autosave]");
const state = document.getElementById("saved");
const action = form?.getAttribute("action");
const offer = document.getElementById("kept");

function say(what) {
  state.textContent = state.dataset[what];
  state.classList.toggle("bad", what !== "saved" && what !== "saving" && what !== "restored");
}

// Only the fields of the kind that is chosen are shown. Without a script all of them are.
function showKinds() {
  for (const select of editor.querySelectorAll("[data-kind]")) {
    const holder = select.closest(".trigger-fields, .content-kind");
    for (const part of holder.querySelectorAll("[data-of]")) part.hidden = part.dataset.of !== select.value;
  }
  for (const choice of editor.querySelectorAll("[data-schedule]")) {
    choice.closest("fieldset").querySelector(".scheduled").hidden = !choice.checked;
  }
}

const content = () => [...new FormData(form)].filter(([name]) => name !== "csrf" && name !== "etag");

const keepTyped = () => keep(action, form.elements.etag.value, content());

/** The last of rows that may be several is always an empty one: where it was filled, another one comes behind it. */
function grow() {
  for (const holder of new Set([...form.querySelectorAll("[data-grows]")].map((row) => row.parentElement))) {
    const rows = holder.querySelectorAll(":scope > [data-grows]");
    const last = rows[rows.length - 1];
    const filled = [...last.querySelectorAll("input[type=time], input[type=number]")].every((each) => each.value);
    if (!filled || last.matches(":disabled, fieldset:disabled *") || rows.length >= Number(last.dataset.grows)) continue;
    const made = last.cloneNode(true);
    for (const each of made.querySelectorAll("[name], [id], [for]")) {
      for (const name of ["id", "name", "for"]) {
        const before = each.getAttribute(name);
        if (before) each.setAttribute(name, before.replace(/\d+$/, String(rows.length)));
      }
      if (each.type === "radio") each.value = String(rows.length);
      else if (each.matches("input:not([type=checkbox])")) each.value = "";
      if ("checked" in each) each.checked = false;
      if (each.localName === "label") {
        for (const text of each.childNodes) {
          if (text.nodeType === 3) text.textContent = text.textContent.replace(/\d+/, String(rows.length + 1));
        }
      }
    }
    last.after(made);
  }
}

function putBack(given) {
  const values = new Map();
  for (const [name, value] of given) values.set(name, [...(values.get(name) ?? []), value]);
  for (let before = -1; before !== form.elements.length; ) {
    before = form.elements.length;
    fill(values);
    grow();
  }
  showKinds();
}

/** What was typed over what is shown now is put back; over an older state, which somebody has changed since, only when asked for. */
function restore() {
  const found = kept(action);
  if (!found) return;
  if (JSON.stringify(found.values) === JSON.stringify(content())) return forget(action);
  if (found.etag !== form.elements.etag.value) {
    offer.hidden = false;
    return;
  }
  putBack(found.values);
  say("restored");
  timer = setTimeout(save, WAIT_MS);
}

function answerOffer(event) {
  const wanted = event.target.closest("button");
  if (!wanted) return;
  offer.hidden = true;
  form.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  if (wanted.value === "put-back") {
    putBack(kept(action)?.values ?? content());
    changed();
  } else forget(action);
}

function fill(values) {
  for (const field of form.elements) {
    if (!field.name || ["csrf", "etag"].includes(field.name)) continue;
    const wanted = values.get(field.name) ?? [];
    if (field.type === "checkbox" || field.type === "radio") field.checked = wanted.includes(field.value);
    else if (field.multiple) for (const option of field.options) option.selected = wanted.includes(option.value);
    else if (wanted.length) field.value = wanted[0];
  }
}

function showFaults(list) {
  for (const old of form.querySelectorAll("p.fault")) old.remove();
  for (const old of form.querySelectorAll(".faulty")) old.classList.remove("faulty");
  for (const old of form.querySelectorAll("[aria-invalid]")) old.removeAttribute("aria-invalid");
  for (const item of list) {
    const name = item.dataset.field;
    const field = document.getElementById(name);
    const place = field?.closest(".field, fieldset") ?? form;
    const said = Object.assign(document.createElement("p"), { className: "fault", textContent: item.textContent });
    said.id = name ? `${name}-fault` : "";
    if (field) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", said.id);
    }
    if (place === form) form.prepend(said);
    else {
      place.classList.add("faulty");
      place.append(said);
    }
  }
}

let timer = 0;
let running = false;
let again = false;

async function save() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  again = false;
  say("saving");
  const sent = JSON.stringify(content());
  let retry = false;
  try {
    const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    const answer = await fetch(form.action, {
      method: "POST",
      body,
      headers: { "X-Requested-With": "fetch", "X-CSRF-Token": form.elements.csrf.value },
      redirect: "manual",
    });
    if (answer.status >= 500) throw new Error(String(answer.status));
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const part = holder.content.querySelector("[data-part]");
    // A form of a session that is over is refused, or sent to where one signs in: what was typed is kept here.
    if (answer.type === "opaqueredirect" || answer.status === 403) {
      say("signedOut");
      sayThatSignedOut();
    } else if (answer.status === 409 || !part) {
      say("changed");
    } else {
      showFaults(part.querySelectorAll("[data-faults] li"));
      if (answer.ok) {
        for (const each of editor.querySelectorAll('input[name="etag"]')) each.value = part.dataset.etag;
        if (editor.dataset.revision !== part.dataset.revision) {
          const undo = document.getElementById("undo");
          editor.dataset.revision = undo.elements.undone.value = part.dataset.revision;
          undo.hidden = Number(part.dataset.revision) < 2;
        }
        document.getElementById("tree").replaceWith(part.querySelector("#tree"));
        for (const id of ["live-count", "phone-preview", "quiet-week"]) {
          document.getElementById(id)?.replaceWith(part.querySelector(`#${id}`));
        }
        if (JSON.stringify(content()) === sent) forget(action);
        else keepTyped();
        say("saved");
      } else {
        say("refused");
      }
    }
  } catch {
    say("offline");
    retry = true;
  }
  running = false;
  if (again) save();
  else if (retry) timer = setTimeout(save, RETRY_MS);
}

function changed() {
  showKinds();
  grow();
  offer.hidden = true;
  keepTyped();
  clearTimeout(timer);
  timer = setTimeout(save, WAIT_MS);
}

showKinds();
if (form) {
  form.addEventListener("input", changed);
  form.addEventListener("submit", () => forget(action));
  offer.addEventListener("click", answerOffer);
  window.addEventListener("online", save);
  restore();
}
// A part that was asked for by its address is where one goes on.
if (location.hash === "#panel") document.getElementById("panel").focus({ preventScroll: false });
