// Shows that a form that takes seconds was sent, and lets it be sent once.
"use strict";
document.querySelectorAll("[data-busy]").forEach((form) => {
  const button = form.querySelector("[type=submit]");
  const text = button.textContent;
  form.addEventListener("submit", () => {
    button.disabled = true;
    button.textContent = form.dataset.busy;
  });
  // Back from the next page, it can be sent again.
  addEventListener("pageshow", () => { button.disabled = false; button.textContent = text; });
});
