// Keeps the page current: one event stream, and every text set by textContent. Decides only when numbers count as stale.

const STALE_MS = 5000;
const STREAM = "/api/v1/events?page=overview";
const FLAGS = ["mode", "band", "state", "started"];

const body = document.body;
const liveText = document.getElementById("live-text");
let stream = null;
let heardAt = 0;

function show(live, words) {
  body.dataset.live = live;
  liveText.textContent = words;
}

function setTone(element, tone, kept) {
  element.setAttribute("class", [kept, tone].filter(Boolean).join(" "));
}

function fillRows(table, rows) {
  const made = rows.map((row) => {
    const line = document.createElement("tr");
    for (const cell of row) {
      const box = document.createElement("td");
      box.className = cell.k;
      box.textContent = cell.t;
      line.append(box);
    }
    return line;
  });
  if (made.length === 0 && table.dataset.empty) {
    const line = document.createElement("tr");
    const box = document.createElement("td");
    box.className = "empty";
    box.colSpan = 9;
    box.textContent = table.dataset.empty;
    line.append(box);
    made.push(line);
  }
  table.replaceChildren(...made);
}

function fillCurve(curve) {
  for (const path of document.querySelectorAll("[data-curve]")) {
    path.setAttribute("d", curve[path.dataset.curve]);
  }
  for (const text of document.querySelectorAll("[data-curve-text]")) {
    text.textContent = curve[text.dataset.curveText];
  }
  setTone(document.querySelector("[data-curve-tone]"), curve.tone, "");
}

function fill(page) {
  document.title = page.title;
  for (const name of FLAGS) {
    body.dataset[name] = page.flags[name] ?? "";
  }
  for (const element of document.querySelectorAll("[data-text]")) {
    const text = page.texts[element.dataset.text];
    if (text) {
      element.textContent = text.t;
      setTone(element, text.k, element.dataset.text === "state" ? "state-word" : "");
    }
  }
  for (const element of document.querySelectorAll("[data-bar]")) {
    const bar = page.bars[element.dataset.bar];
    element.setAttribute("width", (bar.ratio * 100).toFixed(1));
    setTone(element, bar.k, "fill");
  }
  for (const element of document.querySelectorAll("[data-bar-text]")) {
    const bar = page.bars[element.dataset.barText];
    element.textContent = bar.t;
    setTone(element, bar.k, "num");
  }
  for (const table of document.querySelectorAll("[data-rows]")) {
    fillRows(table, page.rows[table.dataset.rows] ?? []);
  }
  fillCurve(page.curve);
}

function open() {
  if (stream !== null) {
    return;
  }
  stream = new EventSource(STREAM);
  stream.addEventListener("overview", (event) => {
    heardAt = Date.now();
    fill(JSON.parse(event.data));
    show("on", "live");
  });
  stream.addEventListener("error", () => {
    show("off", "connection lost, trying again");
    if (stream !== null && stream.readyState === EventSource.CLOSED) {
      close();
      setTimeout(open, STALE_MS); // a browser gives up on an error status by itself
    }
  });
}

function close() {
  stream?.close();
  stream = null;
}

// A hidden tab gives its connection back; a browser has six for this address.
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
setInterval(() => {
  if (heardAt > 0 && !document.hidden && Date.now() - heardAt > STALE_MS) {
    show("stale", `numbers are ${Math.round((Date.now() - heardAt) / 1000)} s old`);
  }
}, 1000);

show("off", "connecting");
open();
