// The form of an audience: its buttons change it at once, and its line and count follow what is typed.

import { ask } from "./console.js";

const WAIT_MS = 500;
const holder = document.querySelector("[data-builder]");
const form = holder?.closest("form");

// A form that saves by itself counts by itself, too.
const counts = form && form.dataset.autosave === undefined;
const content = () => new URLSearchParams([...new FormData(form)].filter(([name]) => name.startsWith("a-"))).toString();

async function read(action) {
  const body = new URLSearchParams(content());
  body.set("do", action);
  const text = await (await ask(holder.dataset.builder, { method: "POST", body })).text();
  const made = document.createElement("template");
  made.innerHTML = text;
  return made.content;
}

function showCount(part) {
  if (!counts) return;
  document.getElementById("live-count").replaceWith(part.querySelector("#live-count"));
  for (const old of holder.querySelectorAll("p.fault")) old.remove();
  for (const old of holder.querySelectorAll(".faulty")) old.classList.remove("faulty");
  for (const item of part.querySelectorAll("li[data-field]")) {
    const field = document.getElementById(item.dataset.field);
    const place = field?.closest(".field");
    if (!place) continue;
    const said = Object.assign(document.createElement("p"), { className: "fault", textContent: item.textContent });
    said.id = `${item.dataset.field}-fault`;
    field.setAttribute("aria-describedby", said.id);
    place.classList.add("faulty");
    place.append(said);
  }
}

/** Draws the conditions anew as a button asks; what is typed meanwhile is sent once more, so that nothing of it is lost. */
async function draw(action) {
  const focused = document.activeElement?.id;
  const before = new Set([...holder.querySelectorAll("select")].map((each) => each.id));
  let sent = content();
  let part = await read(action);
  for (let turn = 0; content() !== sent && turn < 3; turn += 1) {
    sent = content();
    part = await read(action);
  }
  holder.querySelector("[data-drawn]").replaceWith(part.querySelector("[data-drawn]"));
  hide();
  showCount(part);
  const added = /^(one|group)-/.test(action) && [...holder.querySelectorAll("select")].find((each) => !before.has(each.id));
  (added || document.getElementById(focused) || holder.querySelector("select")).focus();
  if (!counts) form.dispatchEvent(new Event("input", { bubbles: true }));
}

// What a choice does by itself needs no button.
function hide() {
  for (const each of holder.querySelectorAll("[data-unscripted]")) each.hidden = true;
}

let timer = 0;
if (form) {
  hide();
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-builder] button[name=do]");
    if (!button) return;
    event.preventDefault();
    draw(button.value).catch(() => form.requestSubmit(button));
  });
  form.addEventListener("change", (event) => {
    if (event.target.matches("[data-builder] [data-redraws]")) draw("refresh").catch(() => {});
  });
  form.addEventListener("input", (event) => {
    if (!counts || !event.target.closest("[data-builder]") || event.target.matches("[data-redraws]")) return;
    clearTimeout(timer);
    timer = setTimeout(() => read("count").then(showCount, () => {}), WAIT_MS);
  });
}
