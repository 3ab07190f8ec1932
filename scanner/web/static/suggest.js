// Suggests folders and names while someone types in a field with a list.
"use strict";
// On a telephone the images come first; the summary opens the form.
if (matchMedia("(max-width: 30rem)").matches) document.getElementById("filters").open = false;

const WAIT_MS = 200;

document.querySelectorAll("[data-suggest]").forEach((field) => {
  const list = document.getElementById(field.getAttribute("list"));
  let timer = 0;
  let asked = "";
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      asked = field.value;
      const address = new URL(field.dataset.suggest, location);
      address.searchParams.set("typed", asked);
      try {
        const answer = await fetch(address);
        if (!answer.ok || asked !== field.value) return;
        list.replaceChildren(...(await answer.json()).map((path) => new Option(path, path)));
      } catch { /* without suggestions, the field works all the same */ }
    }, WAIT_MS);
  });
});
