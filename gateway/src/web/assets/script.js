// What moves on a page: live graphs and numbers. Every page can be read without it.
"use strict";

const KEPT = 300;
const HEIGHT = 80;

/** The value at a JSON pointer, a number or 0. */
function at(sample, pointer) {
  let value = sample;
  for (const name of pointer.split("/").slice(1)) {
    value = value === null || value === undefined ? undefined : value[name];
  }
  return typeof value === "number" ? value : 0;
}

/** The growth by the second between each two samples. */
function rates(samples, pointer) {
  const found = [];
  for (let index = 1; index < samples.length; index += 1) {
    const [before, after] = [samples[index - 1], samples[index]];
    const seconds = (Date.parse(after.time) - Date.parse(before.time)) / 1000;
    const grown = Math.max(at(after, pointer) - at(before, pointer), 0);
    found.push(seconds > 0 ? grown / seconds : 0);
  }
  return found;
}

function draw(figure, samples) {
  const lines = [...figure.querySelectorAll("polyline")];
  const all = lines.map((line) => rates(samples, line.dataset.of));
  const most = Math.max(1, ...all.flat());
  lines.forEach((line, index) => {
    const first = KEPT - all[index].length;
    const points = all[index].map((rate, place) =>
      `${first + place},${(HEIGHT - (rate / most) * (HEIGHT - 2) - 1).toFixed(1)}`);
    line.setAttribute("points", points.join(" "));
    const shown = figure.querySelector(`[data-rate="${CSS.escape(line.dataset.of)}"]`);
    if (shown) shown.textContent = (all[index].at(-1) || 0).toFixed(1);
  });
  const highest = figure.querySelector("[data-most]");
  if (highest) highest.textContent = most.toFixed(0);
}

async function live() {
  const figures = [...document.querySelectorAll("[data-graph]")];
  const numbers = [...document.querySelectorAll("[data-live]")];
  if (figures.length + numbers.length === 0) return;
  const answer = await fetch("/api/v1/live/recent", { credentials: "same-origin" });
  if (!answer.ok) return;
  const samples = await answer.json();
  const source = new EventSource("/api/v1/live");
  source.onmessage = (event) => {
    const sample = JSON.parse(event.data);
    const last = samples.at(-1);
    if (last && last.time === sample.time) return;
    samples.push(sample);
    if (samples.length > KEPT) samples.shift();
    figures.forEach((figure) => draw(figure, samples));
    numbers.forEach((place) => {
      place.textContent = at(sample, place.dataset.live).toLocaleString("en");
    });
  };
  addEventListener("pagehide", () => source.close());
}

/** A button or form that asks before it changes something. */
function asking() {
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask || event.target.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });
}

live();
asking();

/** A file that is put as a list: what it would change is shown before. */
function uploading() {
  const place = document.querySelector("[data-upload]");
  const csrf = document.querySelector("meta[name=csrf]")?.content;
  if (!place || !csrf) return;
  const [input, preview, button] = ["input", "[data-preview]", "button"].map((what) => place.querySelector(what));
  place.hidden = false;
  const send = (method, to) => fetch(to, {
    method, body: input.files[0], credentials: "same-origin",
    headers: { "x-csrf-token": csrf, "content-type": "application/octet-stream" },
  });
  input.addEventListener("change", async () => {
    button.hidden = true;
    if (!input.files[0]) return;
    preview.textContent = "It is being read …";
    const answer = await send("POST", `${place.dataset.upload}/preview/file`);
    const shown = new DOMParser().parseFromString(await answer.text(), "text/html");
    preview.replaceChildren(...shown.body.childNodes);
    button.hidden = !answer.ok;
  });
  button.addEventListener("click", async () => {
    if (!confirm("Replace what the list has with this file?")) return;
    const answer = await send("PUT", place.dataset.put);
    const said = await answer.json();
    if (answer.ok) {
      location.assign(`${place.dataset.upload}?done=${encodeURIComponent(said.done)}`);
    } else {
      preview.textContent = [said.title, said.detail, said.hint].filter(Boolean).join(" – ");
    }
  });
}

uploading();
