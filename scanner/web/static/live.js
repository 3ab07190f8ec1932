// Replaces the live part of the page with what the server sends.
"use strict";
const live = document.getElementById("live");
const connection = document.getElementById("connection");
const events = new EventSource(live.dataset.events);

const focusable = () => [...live.querySelectorAll("a, button, summary, [tabindex]")];

function show(event) {
  connection.textContent = "";
  // The focus stays where it is, and open details stay open.
  const index = focusable().indexOf(document.activeElement);
  const href = document.activeElement.href;
  const opened = [...live.querySelectorAll("details")].map((each) => each.open);
  live.innerHTML = event.data;
  live.querySelectorAll("details").forEach((each, n) => { each.open = opened[n] ?? false; });
  if (index >= 0) {
    const now = focusable();
    const same = now.find((each) => href && each.href === href) ?? now[index];
    if (same) same.focus({ preventScroll: true });
  }
}

events.addEventListener("live", show);
events.addEventListener("over", (event) => { show(event); events.close(); });
events.addEventListener("error", () => { connection.textContent = connection.dataset.lost; });
