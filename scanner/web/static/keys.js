// Keyboard shortcuts: a key clicks the button or link that names it; a switch turns them off.
"use strict";
const toggle = document.getElementById("keys");
let on = localStorage.getItem("keys") !== "off";

function showSwitch() {
  toggle.hidden = false;
  toggle.textContent = on ? toggle.dataset.on : toggle.dataset.off;
}

if (toggle) {
  showSwitch();
  toggle.addEventListener("click", () => {
    on = !on;
    localStorage.setItem("keys", on ? "on" : "off");
    showSwitch();
  });
}

const help = document.getElementById("help");
if (help) {
  document.getElementById("ask").hidden = false;
  document.getElementById("ask").addEventListener("click", () => help.showModal());
}

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (!on || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const target = [...document.querySelectorAll("[data-key]")]
    .find((each) => each.dataset.key.split(" ").includes(event.key));
  if (target) {
    event.preventDefault();
    target.click();
  }
});
