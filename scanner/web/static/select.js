// Selects all tiles of a page, counts them, and shows what can be done with them.
"use strict";
const chosen = document.getElementById("chosen");
const boxes = [...chosen.querySelectorAll("[name=image]")];
const every = document.getElementById("every");
const all = document.getElementById("all"); // on every page; not there where there is one page
const number = document.getElementById("number");

function count() {
  const selected = boxes.filter((box) => box.checked).length;
  const isAll = all && all.checked;
  number.textContent = isAll ? number.dataset.all : number.dataset.text.replace("{number}", selected);
  every.checked = selected === boxes.length;
  every.indeterminate = selected > 0 && selected < boxes.length;
  chosen.querySelectorAll(".with button").forEach((button) => { button.disabled = !selected && !isAll; });
}

let last = 0;
boxes.forEach((box, n) => box.addEventListener("click", (event) => {
  if (event.shiftKey) {
    boxes.slice(Math.min(n, last), Math.max(n, last)).forEach((each) => { each.checked = box.checked; });
  }
  last = n;
}));
chosen.addEventListener("change", count);
every.parentElement.hidden = false;
every.addEventListener("click", () => boxes.forEach((box) => { box.checked = every.checked; }));
if (all) {
  all.addEventListener("click", () => boxes.forEach((box) => { box.checked = all.checked; }));
  [every, ...boxes].forEach((box) => box.addEventListener("click", () => { all.checked &&= box.checked; }));
}
addEventListener("pageshow", count);
count();
