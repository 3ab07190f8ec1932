// Answers and moves without loading a page. Answers are sent one after the other, in order; keys
// that are pressed before the next image is there wait for it.
"use strict";
(() => {
  const AHEAD = 3; // images that are loaded in advance
  const TRIES = 3;
  const notice = document.getElementById("unsent");
  const trouble = notice.querySelector("p");
  const answered = document.getElementById("answered");
  const pages = new Map(); // by address: the promise of a document
  const queue = []; // answers that are not stored yet
  let steps = Promise.resolve();
  let sending = false;

  const work = () => document.getElementById("work");
  const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

  async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.status);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  function load(address) {
    if (!pages.has(address)) {
      const page = fetched(address);
      page.catch(() => pages.delete(address));
      pages.set(address, page);
    }
    return pages.get(address);
  }

  async function loadAhead(region, images) {
    const next = region && region.dataset.open;
    if (!next || !images) return;
    const page = await load(next);
    const image = page.querySelector("#work .frame img");
    if (image) new Image().src = image.getAttribute("src");
    await loadAhead(page.getElementById("work"), images - 1);
  }

  function replace(region, fresh) {
    const key = region.contains(document.activeElement) && document.activeElement.dataset.key;
    region.replaceWith(document.adoptNode(fresh));
    const same = key && [...fresh.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
    if (same) same.focus({ preventScroll: true });
  }

  async function show(address, isBack) {
    const page = await load(address).catch(() => null);
    pages.delete(address);
    const fresh = page && page.getElementById("work");
    if (!fresh) return leave(address);
    replace(work(), fresh);
    document.title = page.title;
    if (!isBack) history.pushState(null, "", address);
    loadAhead(work(), AHEAD).catch(() => {});
    return null;
  }

  async function leave(address) {
    await sent();
    location.assign(address);
    return new Promise(() => {}); // no further key is for this page
  }

  async function answer(value) {
    const form = document.querySelector("form.answers");
    if (!form) return;
    const body = new URLSearchParams(new FormData(form));
    body.set("answer", value);
    queue.push({ address: form.action, body });
    send();
    form.querySelectorAll("[name=answer]").forEach((each) => {
      if (each.value === value) each.setAttribute("aria-pressed", "true");
      else each.removeAttribute("aria-pressed");
    });
    const region = work();
    if (region && region.dataset.open) await show(region.dataset.open);
    else if (region) await leave(region.dataset.end);
  }

  function tell() {
    answered.textContent = queue.length ? answered.dataset.sending : answered.dataset.stored;
  }

  async function send() {
    if (sending) return;
    sending = true;
    notice.hidden = true;
    tell();
    for (let tries = 1; queue.length;) {
      const { address, body } = queue[0];
      const said = await fetch(address, { method: "POST", body, headers: { Accept: "application/json" } }).catch(() => null);
      if (said && said.ok) {
        queue.shift();
        tries = 1;
      } else if ((said && said.status < 500) || tries++ === TRIES) {
        fail();
        break;
      } else await wait(500 * tries);
    }
    sending = false;
    if (!queue.length) refresh().then(tell, tell);
  }

  function fail() {
    answered.textContent = "";
    const { one, several } = trouble.dataset;
    trouble.textContent = queue.length === 1 ? one : several.replace("{number}", queue.length);
    notice.hidden = false;
  }

  async function sent() {
    while (queue.length) await wait(30);
  }

  // What depends on the answers: counts, and the history of an image.
  async function refresh() {
    const page = await fetched(location.href);
    if (queue.length) return;
    document.querySelectorAll("[data-live]").forEach((region) => {
      const fresh = page.getElementById(region.id);
      if (fresh) replace(region, fresh);
    });
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("form.answers")) {
      event.preventDefault();
      const { value } = event.submitter;
      steps = steps.then(() => answer(value));
    } else if (form.matches("form.undo")) {
      event.preventDefault();
      steps = steps.then(async () => { await sent(); form.submit(); });
    }
  });
  document.addEventListener("click", (event) => {
    const target = event.target.closest("form.answers button, #work a[rel]");
    if (!target || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    // The second click of a double click would answer the next image.
    if (event.detail > 1) event.preventDefault();
    else if (target.rel) {
      event.preventDefault();
      const { rel } = target;
      steps = steps.then(() => {
        const link = work().querySelector(`a[rel=${rel}]`);
        return link && show(link.href);
      });
    }
  });
  document.getElementById("retry").addEventListener("click", () => send());
  addEventListener("popstate", () => { steps = steps.then(() => work() ? show(location.href, true) : null); });
  addEventListener("beforeunload", (event) => { if (queue.length) event.preventDefault(); });
  loadAhead(work(), AHEAD).catch(() => {});
})();
