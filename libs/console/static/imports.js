// A file that was chosen is looked at before it is imported: its first part is sent, it stays chosen.

import { ask } from "./console.js";

const HEAD_BYTES = 1024 * 1024;

async function preview(form) {
  const file = form.elements.file.files[0];
  if (!file) return;
  const sent = new FormData(form);
  sent.set("file", file.slice(0, HEAD_BYTES), file.name);
  const shown = form.querySelector("#preview");
  shown.setAttribute("aria-busy", "true");
  try {
    shown.innerHTML = await (await ask(form.dataset.previews, { method: "POST", body: sent })).text();
  } catch (error) {
    if (!error.signedOut) shown.innerHTML = error.message;
  }
  shown.removeAttribute("aria-busy");
}

for (const form of document.querySelectorAll("[data-previews]")) {
  form.addEventListener("change", (event) => {
    const { name } = event.target;
    if (name === "file") for (const known of form.querySelectorAll("#preview [name]")) known.remove();
    if (name === "file" || name.startsWith("column-")) preview(form);
  });
  form.addEventListener("submit", (event) => {
    if (!event.submitter?.formAction.includes("/preview")) return;
    event.preventDefault();
    preview(form);
  });
}
