// What every page has: dialogs that ask first, and parts that are read again while something goes on.

import { forgetAll } from "./typing.js";

const csrf = () => document.querySelector('meta[name="csrf-token"]').content;

/** Asks our own server, as a part of a page; rejects what is no success. */
export async function ask(url, options = {}) {
  const headers = { "X-Requested-With": "fetch", "X-CSRF-Token": csrf(), ...options.headers };
  const answer = await fetch(url, { ...options, headers, credentials: "same-origin", redirect: "manual" });
  if (answer.type === "opaqueredirect") throw Object.assign(new Error("signed out"), { signedOut: true });
  if (!answer.ok) throw Object.assign(new Error(await answer.text()), { status: answer.status });
  return answer;
}

// Browsers that know `command` open dialogs by themselves.
if (!("command" in HTMLButtonElement.prototype)) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-opens], [data-closes]");
    if (!button) return;
    const dialog = document.getElementById(button.dataset.opens ?? button.dataset.closes);
    if (button.dataset.opens) dialog.showModal();
    else dialog.close();
  });
}

/** Says that the session is over, where somebody looks at a page that goes on by itself. */
export function sayThatSignedOut() {
  const said = document.getElementById("signed-out");
  if (said) said.hidden = false;
}

/** Puts what was read in the place of a part: who reads it by keyboard stays where they are, and so does what was scrolled. */
function replace(part, made) {
  const focused = part.contains(document.activeElement) ? document.activeElement : null;
  if (focused?.matches("input, select, textarea")) return part;
  const scrolled = part.querySelector(".tree")?.scrollLeft;
  part.replaceWith(made);
  if (scrolled) made.querySelector(".tree").scrollLeft = scrolled;
  if (!focused) return made;
  const alike = [...made.querySelectorAll(focused.localName)].find(
    (each) => each.getAttribute("href") === focused.getAttribute("href") && each.className === focused.className,
  );
  alike?.focus({ preventScroll: true });
  return made;
}

/** Reads a part again every so often, for as long as what comes asks for it: `data-refresh="url" data-every="ms"`; the
 * first time at once where it says `data-at-once`. */
function refresh(part, wait = Math.max(Number(part.dataset.every) || 2000, 500)) {
  setTimeout(async () => {
    if (!part.isConnected) return;
    if (document.hidden) return refresh(part);
    let next = part;
    try {
      const text = await (await ask(part.dataset.refresh)).text();
      const holder = document.createElement("template");
      holder.innerHTML = text;
      const made = holder.content.firstElementChild;
      if (made) next = replace(part, made);
    } catch (error) {
      if (error.signedOut) return sayThatSignedOut();
    }
    if (next.dataset.refresh) refresh(next);
  }, wait);
}
for (const part of document.querySelectorAll("[data-refresh]")) refresh(part, "atOnce" in part.dataset ? 0 : undefined);

for (const form of document.querySelectorAll("form[data-forgets]")) form.addEventListener("submit", forgetAll);

// A filter that is chosen is applied.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});
