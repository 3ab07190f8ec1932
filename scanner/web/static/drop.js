// Checks images that are dropped on any page, pasted, or chosen in the form, one after the other, and
// shows each with its picture: the browser's own, where it can draw it.
"use strict";
(() => {
  const texts = document.currentScript.dataset;
  const form = document.getElementById("check");
  const dialog = document.getElementById("dropped");
  const place = form ? document.getElementById("here") : dialog;
  const progress = place.querySelector("[role=status]");
  const results = place.querySelector(".results");
  let latest = 0; // the number of the drop that is shown
  let pictures = []; // addresses of pictures, to be given back

  async function check(files) {
    latest += 1;
    const mine = latest;
    results.replaceChildren();
    pictures.splice(0).forEach((address) => URL.revokeObjectURL(address));
    if (place === dialog && !dialog.open) dialog.showModal();
    for (const [n, file] of files.entries()) {
      progress.textContent = texts.checking.replace("{number}", n + 1)
        .replace("{count}", files.length).replace("{name}", () => file.name);
      const part = await checked(file);
      if (mine !== latest) return;
      results.append(part);
    }
    progress.textContent = "";
  }

  async function checked(file) {
    const body = new FormData();
    body.append("image", file);
    const picture = await drawn(file);
    if (picture) {
      body.append("width", picture.naturalWidth);
      body.append("height", picture.naturalHeight);
    }
    try {
      const answer = await fetch("/check", { method: "POST", body });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = page.querySelector(".checked");
      if (part) return withPicture(document.adoptNode(part), picture);
      return told(file, page.querySelector("main p").textContent);
    } catch {
      return told(file, texts.lost);
    }
  }

  function told(file, text) {
    const part = document.createElement("article");
    part.className = "checked";
    const [name, reason] = [document.createElement("h2"), document.createElement("p")];
    name.textContent = file.name;
    reason.className = "trouble";
    reason.textContent = text;
    part.append(name, reason);
    return part;
  }

  // The picture of a file; null where the browser cannot draw its format, such as RAW.
  async function drawn(file) {
    const picture = new Image();
    picture.src = URL.createObjectURL(file);
    pictures.push(picture.src);
    return picture.decode().then(() => picture, () => null);
  }

  function withPicture(part, picture) {
    if (!picture) return part;
    const figure = part.querySelector("figure");
    figure.querySelector("img").src = picture.src;
    figure.hidden = false;
    return part;
  }

  function take(given, event) {
    const files = [...(given ?? [])];
    if (!files.length) return;
    event.preventDefault();
    check(files);
  }

  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) event.preventDefault();
  });
  document.addEventListener("drop", (event) => take(event.dataTransfer.files, event));
  document.addEventListener("paste", (event) => take(event.clipboardData.files, event));
  dialog.addEventListener("close", () => { latest += 1; });
  if (form) {
    form.elements.image.multiple = true;
    form.addEventListener("submit", (event) => take(form.elements.image.files, event));
  }
})();
