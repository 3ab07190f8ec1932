// Puts what the server sends in the place of what is shown.
"use strict";
const live = document.getElementById("live");
const lost = document.getElementById("lost");
const events = new EventSource(live.dataset.events);

function show(event) {
  lost.textContent = "";
  // Whoever reads with the keyboard is not thrown out of what he reads.
  const opened = [...live.querySelectorAll("details")].map((each) => each.open);
  const focused = live.contains(document.activeElement);
  if (focused && event.type !== "over") return;
  live.innerHTML = event.data;
  live.querySelectorAll("details").forEach((each, n) => { each.open = opened[n] ?? false; });
}

events.addEventListener("live", show);
events.addEventListener("over", (event) => { show(event); events.close(); });
events.addEventListener("error", () => { lost.textContent = "The server does not answer; trying again …"; });
