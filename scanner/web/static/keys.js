// A key presses the button, or follows the link, that names it; the switch turns that off.
"use strict";
const toggle = document.getElementById("keys");
let on = localStorage.getItem("keys") !== "off";

function showSwitch() {
  toggle.hidden = false;
  toggle.textContent = `Keyboard shortcuts: ${on ? "on" : "off"}`;
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
  const wanted = [...document.querySelectorAll("[data-key]")]
    .find((each) => each.dataset.key.split(" ").includes(event.key));
  if (wanted) {
    event.preventDefault();
    wanted.click();
  }
});

// The next picture is there when it is asked for.
const picture = document.getElementById("picture");
if (picture && picture.dataset.next) new Image().src = picture.dataset.next;
