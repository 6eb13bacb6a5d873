// What moves on a page: live graphs and numbers. Every page can be read without it.
"use strict";

const KEPT = 300;
const HEIGHT = 80;

/** The sum of the numbers at JSON pointers with spaces between them; what is no number is 0. */
function at(sample, pointers) {
  return pointers.split(" ").reduce((sum, pointer) => {
    const value = pointer.split("/").slice(1).reduce((inside, name) => inside?.[name], sample);
    return sum + (typeof value === "number" ? value : 0);
  }, 0);
}

/** The growth by so many seconds from one sample to the next. */
function rate(before, after, pointers, per) {
  const seconds = (Date.parse(after.time) - Date.parse(before.time)) / 1000;
  const grown = Math.max(at(after, pointers) - at(before, pointers), 0);
  return seconds > 0 ? (grown / seconds) * per : 0;
}

/** The rates of a line, as the page has drawn them: the script goes on from there. */
function drawn(line, most) {
  const points = (line.getAttribute("points") || "").split(" ").filter(Boolean);
  return points.map((point) => ((HEIGHT - 1 - Number(point.split(",")[1])) / (HEIGHT - 2)) * most);
}

function draw(figure, lines) {
  const most = Math.max(1, ...lines.flatMap(({ rates }) => rates));
  for (const { line, rates } of lines) {
    const first = KEPT - rates.length;
    const points = rates.map((value, place) =>
      `${first + place},${(HEIGHT - (value / most) * (HEIGHT - 2) - 1).toFixed(1)}`);
    line.setAttribute("points", points.join(" "));
    const shown = figure.querySelector(`[data-rate="${CSS.escape(line.dataset.of)}"]`);
    if (shown) shown.textContent = (rates.at(-1) || 0).toFixed(1);
  }
  const highest = figure.querySelector("[data-most]");
  if (highest) highest.textContent = most.toFixed(0);
}

function live() {
  const figures = [...document.querySelectorAll("[data-graph]")].map((figure) => ({
    figure,
    lines: [...figure.querySelectorAll("polyline")].map((line) => ({
      line, rates: drawn(line, Number(figure.dataset.scale)),
    })),
  }));
  const numbers = [...document.querySelectorAll("[data-live]")];
  if (figures.length + numbers.length === 0) return;
  let last = null;
  const source = new EventSource("/api/v1/live");
  source.onmessage = (event) => {
    const sample = JSON.parse(event.data);
    if (last && last.time !== sample.time) {
      for (const { figure, lines } of figures) {
        for (const { line, rates } of lines) {
          rates.push(rate(last, sample, line.dataset.of, Number(figure.dataset.per)));
          if (rates.length > KEPT) rates.shift();
        }
        draw(figure, lines);
      }
    }
    last = sample;
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

/** The slider of the score: handles that show at once what they mean, and a moment later what they would have done. */
function sliding() {
  const card = document.querySelector("[data-slider]");
  if (!card) return;
  const FLOOR = 500;
  const TOP = 1000;
  const named = (name) => [...card.querySelectorAll(`[name="${name}"], [data-handle="${name}"]`)];
  const write = (name, value) => named(name).forEach((input) => {
    if (input !== document.activeElement || input.type === "range") input.value = value;
  });
  const part = (name, start, end) => {
    const rect = card.querySelector(`[data-part="${name}"]`);
    rect.setAttribute("x", start);
    rect.setAttribute("width", end - start);
    const percent = (end - start) / 5;
    card.querySelector(`[data-percent="${name}"]`).textContent = percent;
    write(name, Number.isInteger(percent) ? percent : "");
  };
  let timer = 0;
  let asked = new AbortController();
  const ask = async (from, above) => {
    asked.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(`/reputation?delay_from=${from}&reject_above=${above}`, { signal: asked.signal });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const replayed = page.querySelector("[data-replay]");
      if (replayed) document.querySelector("[data-replay]").replaceChildren(...replayed.childNodes);
    } catch (error) {
      if (error.name !== "AbortError") throw error;
    }
  };
  const show = (from, above) => {
    part("allow", FLOOR, from);
    part("delay", from, above);
    part("reject", above, TOP);
    write("delay_from", from);
    write("reject_above", above);
    card.querySelector('[data-score="delay_from"]').textContent = from;
    card.querySelector('[data-score="reject_above"]').textContent = above;
    const save = card.querySelector("[data-in-force]");
    if (save) {
      const same = save.dataset.inForce === `${from}/${above}`;
      save.querySelector("button").disabled = same;
      save.querySelector("[data-new]").hidden = same;
      save.querySelector("[data-same]").hidden = !same;
    }
    clearTimeout(timer);
    timer = setTimeout(ask, 300, from, above);
  };
  const fits = (value) => Number.isInteger(value) && value >= FLOOR && value <= TOP;
  card.addEventListener("input", ({ target }) => {
    const value = (name) => Number(card.querySelector(`form[method="get"] [name="${name}"]`).value || NaN);
    if (target.dataset.handle) {
      // A handle pushes the other one, so that none is ever stuck.
      const moved = Number(target.value);
      const other = Number(card.querySelector(`[data-handle]:not([data-handle="${target.dataset.handle}"])`).value);
      if (target.dataset.handle === "delay_from") show(moved, Math.max(moved, other));
      else show(Math.min(moved, other), moved);
    } else if (["delay_from", "reject_above"].includes(target.name)) {
      const [from, above] = [value("delay_from"), value("reject_above")];
      if (fits(from) && fits(above) && from <= above) show(from, above);
    } else {
      const [allow, delay, reject] = ["allow", "delay", "reject"].map(value);
      const from = FLOOR + 5 * allow;
      const above = from + 5 * delay;
      if (allow + delay + reject === 100 && fits(from) && fits(above) && from <= above) show(from, above);
    }
  });
  card.querySelector(".handles").hidden = false;
}

/** A file that is put as a list: what it would change is shown before. */
function uploading() {
  const place = document.querySelector("[data-upload]");
  const csrf = document.querySelector("meta[name=csrf]")?.content;
  if (!place || !csrf) return;
  const [input, preview, button] = ["input", "[data-preview]", "button"].map((what) => place.querySelector(what));
  place.hidden = false;
  const send = (what) => fetch(`${place.dataset.upload}/${what}/file`, {
    method: "POST", body: input.files[0], credentials: "same-origin",
    headers: { "x-csrf-token": csrf, "content-type": "application/octet-stream" },
  });
  /** Shows what was answered; false where that is another page, or none. */
  const tell = async (answer) => {
    if (!answer || answer.redirected) {
      preview.textContent = "That did not work: open the page anew, and try again.";
      return false;
    }
    const shown = new DOMParser().parseFromString(await answer.text(), "text/html");
    preview.replaceChildren(...shown.body.childNodes);
    return true;
  };
  input.addEventListener("change", async () => {
    button.hidden = true;
    if (!input.files[0]) return;
    preview.textContent = "It is being read …";
    const answer = await send("preview").catch(() => null);
    button.hidden = !(await tell(answer) && answer.ok);
  });
  button.addEventListener("click", async () => {
    if (!confirm("Replace what the list has with this file?")) return;
    const answer = await send("put").catch(() => null);
    if (answer?.status === 204) location.assign(place.dataset.upload);
    else await tell(answer);
  });
}

live();
asking();
sliding();
uploading();
