// What a person gains by a script: figures that move, copying, asking before what cannot be undone, the menu of a small
// screen. Every page works without it. Nothing here writes HTML: what is new on a page is a part of that page, fetched anew.
"use strict";

const root = document.documentElement;
root.classList.add("js");
const words = document.body ? document.body.dataset : {};

function each(selector, act, within = document) {
  for (const element of within.querySelectorAll(selector)) act(element);
}

function toast(text) {
  const place = document.getElementById("toasts");
  if (!place) return;
  const line = document.createElement("p");
  line.textContent = text;
  place.append(line);
  setTimeout(() => line.remove(), 5000);
}

// ---- the menu of a small screen

each("[data-menu]", (button) => {
  button.addEventListener("click", () => {
    const open = button.closest(".side").classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  });
});

// ---- copying

each("[data-copy]", (button) => {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const from = document.getElementById(button.dataset.copy);
    const text = from.value === undefined ? from.textContent : from.value;
    try {
      await navigator.clipboard.writeText(text.trim());
      toast(words.copied);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(from);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
  });
});

// ---- a secret that is shown to who asks for it

each("[data-reveal]", (button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const field = document.getElementById(button.dataset.reveal);
    const masked = field.type === "password";
    field.type = masked ? "text" : "password";
    button.setAttribute("aria-pressed", String(masked));
  });
});

// ---- asking before what cannot be undone

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.ask || form.dataset.sure) return;
  event.preventDefault();
  const box = document.getElementById("ask");
  document.getElementById("ask-text").textContent = form.dataset.ask;
  box.returnValue = "";
  box.onclose = () => {
    if (box.returnValue !== "yes") return;
    form.dataset.sure = "1";
    form.requestSubmit(event.submitter);
  };
  box.showModal();
});

// ---- a form that takes its time says so, and is sent once

document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method === "get") return;
  const button = event.submitter;
  if (button) setTimeout(() => { button.disabled = true; button.setAttribute("aria-busy", "true"); }, 0);
});
addEventListener("pageshow", () => each("[aria-busy]", (button) => { button.disabled = false; button.removeAttribute("aria-busy"); }));

// ---- choosing all rows of a list

each("[data-all]", (all) => {
  const boxes = () => [...document.querySelectorAll(`input.${all.dataset.all}`)];
  const tell = () => {
    const every = document.querySelector("[data-every]:checked");
    const chosen = boxes().filter((box) => box.checked).length;
    each("[data-chosen]", (place) => { place.hidden = chosen === 0 && !every; });
    each("[data-count]", (place) => { place.textContent = every ? place.dataset.count : String(chosen); });
  };
  all.addEventListener("change", () => { for (const box of boxes()) box.checked = all.checked; tell(); });
  document.addEventListener("change", (event) => { if (event.target.matches(`.${all.dataset.all}, [data-every]`)) tell(); });
  tell();
});

// ---- a select that goes where it says, a search that a key finds

each("select[data-go]", (select) => select.addEventListener("change", () => select.form.requestSubmit()));
each("input[type=file][data-names]", (file) => file.addEventListener("change", () => {
  const named = document.getElementById(file.dataset.names);
  if (named && file.files[0] && !named.value) named.value = file.files[0].name;
}));
each("input[type=file][data-into]", (file) => {
  file.hidden = false;
  file.addEventListener("change", async () => {
    const area = document.getElementById(file.dataset.into);
    if (file.files[0]) area.value = await file.files[0].text();
  });
});
document.addEventListener("keydown", (event) => {
  const search = document.querySelector("input[type=search]");
  if (event.key !== "/" || !search || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  event.preventDefault();
  search.focus();
});

// ---- times, as people say them

function tellTimes() {
  const say = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto" });
  each("time[data-ago]", (time) => {
    const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
    const size = Math.abs(seconds);
    const [unit, length] = size < 60 ? ["second", 1] : size < 3600 ? ["minute", 60] : size < 86400 ? ["hour", 3600] : ["day", 86400];
    if (!time.title) time.title = time.textContent;
    time.textContent = say.format(Math.round(seconds / length), unit);
  });
}
tellTimes();
setInterval(tellTimes, 30000);

// ---- a line of what came in the last two minutes

const LENGTH = 120;
const lines = new Map();

function draw(chart, down, up) {
  const kept = lines.get(chart) || { down: [], up: [] };
  lines.set(chart, kept);
  kept.down.push(down);
  kept.up.push(up);
  while (kept.down.length > LENGTH) { kept.down.shift(); kept.up.shift(); }
  const top = Math.max(1, ...kept.down, ...kept.up);
  const path = (points) => points.map((value, at) => {
    const x = 600 - (points.length - 1 - at) * (600 / (LENGTH - 1));
    const y = 118 - (value / top) * 110;
    return `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
  }).join("");
  chart.querySelector(".down").setAttribute("d", path(kept.down));
  chart.querySelector(".up").setAttribute("d", path(kept.up));
}

// ---- a part of the page that shows something else by now

async function refresh(place, mark) {
  place.dataset.as = mark;
  const answer = await fetch(location.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector(`[data-fresh="${CSS.escape(place.dataset.fresh)}"]`);
  if (fresh) place.replaceWith(fresh);
}

// ---- figures that move: one stream of events, which heals by itself

function listen(address) {
  const stream = new EventSource(address);
  const lost = document.getElementById("lost");
  stream.onopen = () => { if (lost) lost.hidden = true; };
  stream.onerror = () => { if (lost) lost.hidden = false; };
  stream.addEventListener("over", () => { stream.close(); location.reload(); });
  stream.onmessage = (event) => {
    const told = JSON.parse(event.data);
    for (const [name, text] of Object.entries(told.text || {})) {
      each(`[data-live="${CSS.escape(name)}"]`, (place) => {
        if (place.textContent !== text) place.textContent = text;
      });
    }
    for (const [name, state] of Object.entries(told.state || {})) {
      each(`[data-state="${CSS.escape(name)}"]`, (place) => {
        place.className = `badge ${state.mood}`;
        if (place.textContent !== state.text) place.textContent = state.text;
      });
    }
    for (const [name, [down, up]] of Object.entries(told.points || {})) {
      each(`svg[data-points="${CSS.escape(name)}"]`, (chart) => draw(chart, down, up));
    }
    for (const [name, mark] of Object.entries(told.fresh || {})) {
      each(`[data-fresh="${CSS.escape(name)}"]`, (place) => { if (place.dataset.as !== mark) refresh(place, mark); });
    }
    for (const [name, [done, of]] of Object.entries(told.progress || {})) {
      each(`progress[data-progress="${CSS.escape(name)}"]`, (bar) => { bar.max = of; bar.value = done; });
    }
  };
  addEventListener("pagehide", () => stream.close());
}
if (words.stream) listen(words.stream);

// ---- rows that are put in another order, by hand or by the buttons that stand there for keys

each("[data-drag]", (body) => {
  let held = null;
  each("tr[draggable]", (row) => {
    row.addEventListener("dragstart", () => { held = row; });
    row.addEventListener("dragover", (event) => {
      event.preventDefault();
      if (!held || held === row) return;
      const box = row.getBoundingClientRect();
      row[event.clientY < box.top + box.height / 2 ? "before" : "after"](held);
    });
    row.addEventListener("drop", (event) => {
      event.preventDefault();
      const form = document.getElementById(body.dataset.drag);
      form.elements.name.value = held.dataset.row;
      form.elements.place.value = String([...body.rows].indexOf(held));
      form.requestSubmit();
    });
  }, body);
});

// ---- a backup's file, sent as it is, with how far it is

each("form[data-upload]", (form) => {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const file = form.querySelector("input[type=file]").files[0];
    const bar = form.querySelector("progress");
    const button = form.querySelector("button");
    const sent = new XMLHttpRequest();
    const over = (text) => { bar.hidden = true; button.disabled = false; toast(text); };
    bar.hidden = false;
    button.disabled = true;
    sent.upload.onprogress = (step) => { bar.max = step.total; bar.value = step.loaded; };
    sent.onerror = () => over(String(sent.status));
    sent.onload = () => {
      let told = {};
      try { told = JSON.parse(sent.responseText); } catch { told = {}; }
      if (told.status === "success") location.reload(); else over(told.error || told.message || String(sent.status));
    };
    sent.open("POST", `${form.dataset.upload}/${encodeURIComponent(file.name)}/upload`);
    sent.setRequestHeader("x-csrf", form.dataset.csrf);
    sent.setRequestHeader("content-type", "application/octet-stream");
    sent.send(file);
  });
});
