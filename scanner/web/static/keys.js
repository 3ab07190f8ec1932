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

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea");
  if (!on || typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const target = [...document.querySelectorAll("[data-key]")]
    .find((each) => each.dataset.key.split(" ").includes(event.key));
  if (target) {
    event.preventDefault();
    target.click();
  }
});

// Load the next preview in advance.
const preview = document.getElementById("preview");
if (preview && preview.dataset.next) new Image().src = preview.dataset.next;
