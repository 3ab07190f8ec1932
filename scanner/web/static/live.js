// Puts what the server sends in the place of what is shown.
"use strict";
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const events = new EventSource(live.dataset.events);

const reachable = () => [...live.querySelectorAll("a, summary, [tabindex]")];

function show(event) {
  lost.textContent = "";
  // Whoever is in the middle of it stays where he is, and what he has opened stays open.
  const at = reachable().indexOf(document.activeElement);
  const href = document.activeElement.href;
  const opened = [...live.querySelectorAll("details")].map((each) => each.open);
  live.innerHTML = event.data;
  live.querySelectorAll("details").forEach((each, n) => { each.open = opened[n] ?? false; });
  if (at >= 0) {
    const now = reachable();
    const same = now.find((each) => href && each.href === href) ?? now[at];
    if (same) same.focus({ preventScroll: true });
  }
}

events.addEventListener("live", show);
events.addEventListener("over", (event) => { show(event); events.close(); });
events.addEventListener("error", () => { lost.textContent = "The server does not answer; trying again …"; });
