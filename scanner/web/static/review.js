// Answers and moves without loading a page. An answer is for the image on the screen: it is taken at
// once, or, where the next image is not shown yet, not at all, which is said. Answers are sent one
// after the other, in order; those that are left when the page is left are sent together.
"use strict";
(() => {
  const AHEAD = 10; // images that are loaded in advance
  const TRIES = 3;
  const MISSED_MS = 3000; // for which keys that were not taken are counted together
  const QUIET_MS = 300; // after the last answer, until counts are asked for
  const TOGETHER = 200; // answers in one request when the page is left
  const notice = document.getElementById("unsent");
  const trouble = notice.querySelector("p");
  const signIn = document.getElementById("sign-in");
  const answered = document.getElementById("answered");
  const missed = document.getElementById("missed");
  const pages = new Map(); // by address, those that are loaded in advance
  const queue = []; // answers that are not stored yet
  let steps = Promise.resolve();
  let moving = 0; // steps to another image or page that are not done yet
  let isPainted = true; // whether the image came onto the screen
  let sending = false;
  let underWay = false; // whether the first answer of the queue is being sent
  let isSignedOut = false;
  let settling = 0;
  let misses = 0;
  let lastMiss = 0;

  const work = () => document.getElementById("work");
  const wait = (ms) => new Promise((done) => { setTimeout(done, ms); });

  async function fetched(address) {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.status);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  function load(address) {
    if (!pages.has(address)) {
      const page = { work: null, title: "", isReady: false };
      page.loaded = fetched(address).then((fresh) => {
        page.title = fresh.title;
        page.work = fresh.getElementById("work");
        if (page.work) prepare(page);
        return page;
      });
      page.loaded.catch(() => pages.delete(address));
      pages.set(address, page);
    }
    return pages.get(address).loaded;
  }

  // Decode the image of a page that is not shown yet.
  async function prepare(page) {
    document.adoptNode(page.work);
    const image = page.work.querySelector(".frame img");
    if (image) {
      image.src = image.getAttribute("src"); // which another document may not have loaded
      await image.decode().catch(() => {});
    }
    page.isReady = true;
  }

  async function loadAhead(region, images) {
    const next = region && region.dataset.open;
    if (next && images) await loadAhead((await load(next)).work, images - 1);
  }

  function replace(region, fresh) {
    const key = region.contains(document.activeElement) && document.activeElement.dataset.key;
    region.replaceWith(document.adoptNode(fresh));
    const same = key && [...fresh.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key);
    if (same) same.focus({ preventScroll: true });
  }

  async function show(address, isBack) {
    const page = await load(address).catch(() => null);
    return page && page.work ? put(page, address, isBack) : leave(address);
  }

  function put(page, address, isBack) {
    pages.delete(address);
    replace(work(), page.work);
    document.title = page.title;
    if (!isBack) history.pushState(null, "", address);
    isPainted = false;
    requestAnimationFrame(() => { isPainted = true; });
    loadAhead(work(), AHEAD).catch(() => {});
  }

  async function leave(address) {
    await sent();
    location.assign(address);
    return new Promise(() => {}); // no further key is for this page
  }

  function step(action) {
    moving += 1;
    steps = steps.then(action).finally(() => { moving -= 1; });
  }

  function isShown() {
    const image = document.querySelector("#work .frame img");
    return !moving && isPainted && (!image || image.complete);
  }

  function answer(value) {
    const form = document.querySelector("form.answers");
    if (!form) return;
    if (!isShown()) {
      miss();
      return;
    }
    if (performance.now() - lastMiss > MISSED_MS) missed.textContent = "";
    queue.push({ address: form.action, image: form.elements.image.value, answer: value });
    send();
    form.querySelectorAll("[name=answer]").forEach((each) => {
      if (each.value === value) each.setAttribute("aria-pressed", "true");
      else each.removeAttribute("aria-pressed");
    });
    const region = work();
    if (!region) return;
    const { open, end } = region.dataset;
    const next = pages.get(open);
    if (next && next.isReady) put(next, open);
    else step(() => open ? show(open) : leave(end));
  }

  function miss() {
    misses = performance.now() - lastMiss > MISSED_MS ? 1 : misses + 1;
    lastMiss = performance.now();
    missed.textContent = misses === 1 ? missed.dataset.one : missed.dataset.several.replace("{number}", misses);
  }

  function tell() {
    answered.textContent = queue.length ? answered.dataset.sending : answered.dataset.stored;
  }

  // Store answers; the request goes on when the page is left.
  function post(answers) {
    const body = new URLSearchParams();
    answers.forEach((each) => {
      body.append("image", each.image);
      body.append("answer", each.answer);
    });
    const headers = { Accept: "application/json" };
    return fetch(answers[0].address, { method: "POST", body, headers, keepalive: true }).catch(() => null);
  }

  async function send() {
    if (sending) return;
    sending = true;
    clearTimeout(settling);
    notice.hidden = true;
    tell();
    for (let tries = 1; queue.length;) {
      underWay = true;
      const said = await post([queue[0]]);
      underWay = false;
      isSignedOut = Boolean(said) && said.status === 401;
      if (said && said.ok) {
        queue.shift();
        tries = 1;
      } else if ((said && said.status < 500) || tries++ === TRIES) {
        fail();
        break;
      } else await wait(500 * tries);
    }
    sending = false;
    if (!queue.length) settling = setTimeout(() => refresh().then(tell, tell), QUIET_MS);
  }

  function sendTheRest() {
    for (let rest = queue.slice(underWay ? 1 : 0); rest.length;) post(rest.splice(0, TOGETHER));
  }

  function fail() {
    answered.textContent = "";
    const { one, several, out } = trouble.dataset;
    const refused = queue.length === 1 ? one : several.replace("{number}", queue.length);
    trouble.textContent = isSignedOut ? out : refused;
    signIn.href = location.href;
    signIn.hidden = !isSignedOut;
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
      answer(event.submitter.value);
    } else if (form.matches("form.undo")) {
      event.preventDefault();
      step(async () => { await sent(); form.submit(); });
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
      step(() => {
        const link = work().querySelector(`a[rel=${rel}]`);
        return link && show(link.href);
      });
    }
  });
  document.getElementById("retry").addEventListener("click", () => send());
  addEventListener("focus", () => { if (isSignedOut && queue.length) send(); });
  addEventListener("popstate", () => { step(() => work() ? show(location.href, true) : null); });
  addEventListener("beforeunload", (event) => { if (queue.length) event.preventDefault(); });
  addEventListener("pagehide", sendTheRest);
  loadAhead(work(), AHEAD).catch(() => {});
})();
