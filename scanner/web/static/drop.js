// Sends an image that is dropped on the page, or pasted, as if it had been chosen in the form.
"use strict";
const form = document.getElementById("check");
const progress = document.getElementById("checking");

function take(files, event) {
  if (!files || !files.length) return;
  event.preventDefault();
  // One image: the form has no place for more.
  const one = new DataTransfer();
  one.items.add(files[0]);
  form.elements.image.files = one.files;
  form.requestSubmit();
}

document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files, event); });
document.addEventListener("paste", (event) => take(event.clipboardData.files, event));
form.addEventListener("submit", () => { progress.textContent = progress.dataset.text; });
