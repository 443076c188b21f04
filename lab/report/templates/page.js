// Fills the page: draws the charts, writes a message's story, shows and searches the logs.
// Everything that machines printed is inserted as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
// The messages are columns of numbers: each one's bytes, as base64, have an element of their own.
const TYPES = { i4: Int32Array, i2: Int16Array, u1: Uint8Array, f8: Float64Array };
function column(name) {
  const element = byId(`column-${name}`);
  const text = atob(element.textContent);
  element.remove();
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return new TYPES[data.columns[name].type](bytes.buffer);
}
const P = Object.fromEntries(Object.keys(data.columns).map((name) => [name, column(name)]));
const inSeconds = (t) => (t === data.never ? null : t * data.unit);
const sentAt = (i) => inSeconds(P.sent[i]);
const gotAt = (i) => inSeconds(P.got[i]);
const begins = (i) => (P.sent[i] === data.never ? P.got[i] : P.sent[i]) * data.unit;
const ends = (i) => (P.got[i] === data.never ? P.sent[i] : P.got[i]) * data.unit;
const laneOf = (i) => (P.by[i] < 0 ? P.to[i] : P.by[i]);

const AT_ONCE = 600; // messages of a fate that the timeline draws one by one
const BARS = 200; // that count messages in a lane, if not all of them are drawn
const LABEL = 20; // pixels that a message's number needs beside it
const PAGE = 1000; // rows of the log
const FATE = ["arrived", "late", "lost", "unknown", "stuck", "again", "unsent"];
const dark = matchMedia("(prefers-color-scheme: dark)");

const views = {};
let shown = [0, data.end]; // seconds
let chosen = null; // a place in P

// A number may occur more than once: returns which occurrence each is, from 1, in log order.
function times(numbers) {
  const seen = new Map();
  return Array.from(numbers, (number) => seen.set(number, (seen.get(number) ?? 0) + 1).get(number));
}
const inOrder = P.number.slice().sort();
const timeInP = inOrder.some((number, i) => number === inOrder[i + 1]) ? times(P.number) : null;
const timeOf = (i) => timeInP?.[i] ?? 1;
const timeInR = times(data.rows.number);
const anchor = (number, time) => `#message-${number}${time > 1 ? `-${time}` : ""}`;
const placeOf = (number, time) => P.number.findIndex((n, i) => n === number && timeOf(i) === time);

// ---- the charts

const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
const seconds = (t) => `${t.toFixed(3)} s`;
const period = (s) => (s >= 1 ? `${s.toPrecision(3)} s` : `${Number((s * 1000).toPrecision(2))} ms`);

function inWords(i) {
  const [by, to] = [data.lanes[P.by[i]], data.lanes[P.to[i]]];
  const [sent, got, fate] = [sentAt(i), gotAt(i), data.fates[P.fate[i]]];
  if (got === null) return `message ${P.number[i]}, sent by ${by} at ${seconds(sent)}: ${fate}`;
  if (sent === null) return `message ${P.number[i]}, received by ${to} at ${seconds(got)}: ${fate}`;
  const [took, only] = [got - sent, FATE[P.fate[i]] === "late" ? "only " : ""];
  return `message ${P.number[i]}: ${by} sent it at ${seconds(sent)}, ${to} received it ${took > 0 ? `${only}${period(took)} later` : "at once"}`;
}

function row(i, labels) {
  const lane = laneOf(i);
  return {
    place: i, number: P.number[i], sent: begins(i), got: ends(i), arrived: gotAt(i),
    lane, to_lane: P.to[i] < 0 ? lane + 0.45 : P.to[i], machine: data.lanes[P.to[i]] ?? "", fate: FATE[P.fate[i]],
    label: labels ? String(P.number[i]) : "", tooltip: inWords(i),
  };
}

// A number in [0, 1) for each message, evenly spread and independent of the machines' turns: a plain
// "every 8th message" could always pick the same machine. (chart_data.py has the same.)
const spread = (i) => (Math.imul(i, 2654435761) >>> 0) / 2 ** 32;

// The messages to draw in a window: of each fate as many as the eye can separate, always the same
// ones at one zoom level. So a few lost messages stay visible among many that arrived. If some are
// left out, bars on the lanes show how many there are in all.
function pick([from, to]) {
  const counts = data.fates.map(() => 0);
  const inside = (i) => ends(i) >= from && begins(i) <= to;
  for (let i = 0; i < P.number.length; i++) if (inside(i)) counts[P.fate[i]]++;
  const strides = counts.map((n) => 2 ** Math.max(0, Math.ceil(Math.log2(n / AT_ONCE))));
  const drawn = [];
  for (let i = 0; i < P.number.length; i++) {
    if (inside(i) && (i === chosen || spread(i) < 1 / strides[P.fate[i]])) drawn.push(i);
  }
  const left = strides.flatMap((stride, fate) =>
    stride > 1 ? [`one in ${stride.toLocaleString("en")} that ${data.fates[fate].split(":")[0].replace(/^lost$/, "was lost")}`] : []);
  const count = counts.reduce((sum, n) => sum + n, 0);
  byId("drawn").textContent =
    (left.length
      ? `${drawn.length.toLocaleString("en")} of the ${counted(count, "message")} in this window are drawn: ${left.join(", ")}, and all others. The bars count all of them. Zoom in to see each.`
      : `${counted(count, "message")} in this window${count ? ", each of them drawn" : ""}.`) +
    (data.stride > 1 ? ` (This page holds one in ${data.stride} of the run's ${data.total.toLocaleString("en")}, and every message that did not simply arrive; counts include all messages.)` : "");
  const times = drawn.map((i) => Math.min(to, Math.max(from, begins(i))));
  const used = (Math.max(...times) - Math.min(...times)) / (to - from);
  const widest = drawn.reduce((most, i) => Math.max(most, String(P.number[i]).length), 0);
  const room = Math.max(1, (byId("timeline").clientWidth * used) / Math.max(LABEL, 6 + 7 * widest));
  return {
    messages: drawn.map((i) => row(i, drawn.length <= room)),
    bars: left.length ? bars([from, to]) : [],
  };
}

// What lasts, cut to three windows' width: a browser draws no line of a hundred million pixels.
function cut(spans, [from, to]) {
  const [low, high] = [2 * from - to, 2 * to - from];
  return spans
    .filter((span) => span.end >= low && span.start <= high)
    .map((span) => ({ ...span, start: Math.max(low, span.start), end: Math.min(high, span.end) }));
}

const SPANS = ["lives", "connections", "faults"];
const drawnNow = () => ({
  ...pick(shown),
  ...Object.fromEntries(SPANS.map((name) => [name, cut(data[name], shown)])),
});

// How many messages each machine sent and got in each part of a window.
function bars([from, to]) {
  const width = (to - from) / BARS;
  const counts = { sent: {}, received: {} };
  const count = (lanes, lane, t) => {
    if (lane < 0 || t < from || t >= to) return;
    lanes[lane] ??= new Uint32Array(BARS);
    lanes[lane][Math.min(BARS - 1, Math.floor((t - from) / width))]++;
  };
  for (let i = 0; i < P.number.length; i++) {
    if (P.sent[i] !== data.never) count(counts.sent, P.by[i], P.sent[i] * data.unit);
    if (P.got[i] !== data.never) count(counts.received, P.to[i], P.got[i] * data.unit);
  }
  const all = Object.entries(counts).flatMap(([verb, lanes]) =>
    Object.entries(lanes).map(([lane, numbers]) => [verb, Number(lane), numbers]));
  const most = all.reduce((top, [, , numbers]) => numbers.reduce((a, b) => Math.max(a, b), top), 1);
  return all.flatMap(([verb, lane, numbers]) => Array.from(numbers, (n, k) => {
    const [start, end] = [from + k * width, from + (k + 1) * width];
    const side = verb === "sent" ? -1 : 1; // of the lane, so that nothing hides them
    return {
      start, end, lane: lane + side * 0.13, top: lane + side * (0.13 + 0.32 * (n / most)), machine: verb === "sent" ? "" : data.lanes[lane],
      number: n, verb, tooltip: `${data.lanes[lane]} ${verb} ${counted(n, "message")} from ${seconds(start)} to ${seconds(end)}`,
    };
  }).filter((bar) => bar.number));
}

function spec(name) {
  if (name in data.valueCharts) return structuredClone(data.valueCharts[name]);
  const chart = structuredClone(data.charts[name]);
  chart.height = data.heights[name];
  const values = {
    from_s: 0, to_s: data.end, lanes: data.lanes, count: data.lanes.length,
    receivers: data.receivers, rows: data.stripRows, edge: data.edge, chosen: chosen === null ? -1 : P.number[chosen],
  };
  for (const param of chart.params) if (param.name in values) param.value = values[param.name];
  chart.datasets = { cells: data.cells, shares: data.shares, latencies: data.latencies };
  if (name === "timeline") {
    chart.datasets = { moments: data.moments, ...drawnNow(), notes: [] };
  }
  return chart;
}

async function draw(name) {
  const { view } = await vegaEmbed(byId(name), spec(name), {
    mode: "vega-lite", config: data.themes[dark.matches ? "dark" : "light"],
    renderer: "svg",
    logLevel: 1, // errors only: that a chart is still empty while it is made is not one
    ast: true, // the expressions are interpreted: this page forbids eval
    actions: { export: true, source: false, compiled: false, editor: false },
    tooltip: { theme: dark.matches ? "dark" : "light" },
    downloadFileName: name,
  });
  byId(name).querySelector("summary")?.setAttribute("aria-label", `Save the chart: ${name}`);
  views[name]?.finalize();
  views[name] = view;
  return view;
}

let planned = 0;
function redraw() {
  planned ||= requestAnimationFrame(() => {
    planned = 0;
    for (const [name, rows] of Object.entries(drawnNow())) views.timeline.data(name, rows);
    views.timeline.runAsync();
  });
}

async function drawTimeline() {
  const view = await draw("timeline");
  view.addSignalListener("window", (_, window) => {
    shown = Object.values(window)[0] ?? [0, data.end];
    redraw();
  });
  view.addEventListener("click", (_, item) => {
    if (item?.datum?.place !== undefined) goTo(item.datum.place);
  });
  if (shown[0] !== 0 || shown[1] !== data.end) zoomTo(shown);
}

const zoomTo = ([from, to]) => views.timeline.signal("window_start", [from, to]).runAsync();

function messagesWindow() {
  let [from, to] = [Infinity, -Infinity];
  for (let i = 0; i < P.number.length; i++) {
    from = Math.min(from, begins(i));
    to = Math.max(to, ends(i));
  }
  const margin = Math.max(0.03 * (to - from), 1e-4);
  return from <= to ? [from - margin, to + margin] : [0, data.end];
}

const ZOOMS = {
  in: (a, b) => [a + (b - a) / 4, b - (b - a) / 4],
  out: (a, b) => [a - (b - a) / 2, b + (b - a) / 2],
  left: (a, b) => [a - (b - a) / 4, b - (b - a) / 4],
  right: (a, b) => [a + (b - a) / 4, b + (b - a) / 4],
  messages: messagesWindow,
  all: () => [0, data.end],
};
for (const button of document.querySelectorAll("[data-zoom]")) {
  button.addEventListener("click", () => zoomTo(ZOOMS[button.dataset.zoom](...shown)));
}

// ---- one message's story

const words = (moment) => moment.tooltip.replace(/^[\d.]+ s: /, "");

function story(i) {
  const sent = begins(i);
  const sentences = [`${inWords(i)}.`];
  // In a pipeline it is handed on, by the next occurrence of its number.
  for (let k = i + 1; timeInP && k < P.number.length; k++) {
    if (P.number[k] === P.number[i]) sentences.push(`Then ${inWords(k).replace(/^message \S+: /, "")}.`);
  }
  const connected = data.periods.find((e) => sent >= e.start && sent < e.end);
  if (connected) sentences.push(`When it was sent, ${connected.text}.`);
  const done = data.moments.filter((m) => ["fault", "repair"].includes(m.kind));
  const before = done.filter((m) => m.t <= sent).at(-1);
  if (before) sentences.push(`${period(sent - before.t)} before, ${words(before)}.`);
  const [got, late] = [gotAt(i), FATE[P.fate[i]] === "late"];
  const next = done.find((m) => m.t > sent && (got === null ? m.kind === "fault" : late && m.t < got));
  if (next) sentences.push(`${period(next.t - sent)} after, ${words(next)}.`);
  const text = sentences.map((s) => s[0].toUpperCase() + s.slice(1)).join(" ");
  const decides = data.claims.filter((c) => c.messages.includes(P.number[i]));
  return [text, ...decides.map((c) => `It helps to decide “${c.statement}” (${c.verdict}).`)].join("\n");
}

function choose(i) {
  chosen = i;
  byId("number").value = P.number[i];
  byId("story").textContent = story(i);
  byId("previous").disabled = i === 0;
  byId("next").disabled = i === P.number.length - 1;
  if (views.timeline) {
    const sent = begins(i);
    if (sent < shown[0] || sent > shown[1]) {
      const half = (shown[1] - shown[0]) / 2;
      zoomTo([sent - half, sent + half]);
    }
    views.timeline.signal("chosen", P.number[i]);
    redraw();
  }
  showRow();
}

function goTo(i) {
  const wanted = anchor(P.number[i], timeOf(i));
  if (location.hash === wanted) choose(i);
  else location.hash = wanted;
}

function find(number, time = 1) {
  const i = placeOf(number, time);
  if (i >= 0) goTo(i);
  else byId("story").textContent = `There is no message ${number} ${data.stride > 1 ? "on this page" : "in this run"}.`;
}

function followHash() {
  const match = /^#message-(\d+)(?:-(\d+))?$/.exec(location.hash);
  const i = match ? placeOf(Number(match[1]), Number(match[2] ?? 1)) : -1;
  if (i < 0) return;
  choose(i);
  byId("h-timeline").scrollIntoView();
}

byId("ask").addEventListener("submit", (event) => event.preventDefault());
byId("number").addEventListener("change", (event) => find(Number(event.target.value)));
byId("previous").addEventListener("click", () => goTo(chosen - 1));
byId("next").addEventListener("click", () => goTo(chosen + 1));

// ---- the logs

const R = data.rows;
const body = byId("log").tBodies[0];
let matching = [...R.t.keys()];
let page = 0;

function cell(line, text, note) {
  const td = line.insertCell();
  td.textContent = text ?? "";
  if (note) td.appendChild(Object.assign(document.createElement("span"), { className: "note", textContent: ` (${note})` }));
  return td;
}

const isChosen = (k) =>
  chosen !== null && R.number[k] === P.number[chosen] && timeInR[k] === timeOf(chosen);

function logRow(k) {
  const line = document.createElement("tr");
  cell(line, R.t[k].toFixed(3));
  if (R.event[k]) {
    line.className = "event";
    cell(line, R.event[k]).colSpan = data.lanes.length;
    return line;
  }
  data.lanes.forEach((_, lane) => {
    const texts = [R.lane[k] === lane ? R.text[k] : null, R.lane2[k] === lane ? R.text2[k] : null];
    const last = lane === (R.lane2[k] ?? R.lane[k]);
    cell(line, texts.filter((text) => text !== null).join("\n"), last ? R.note[k] : "");
  });
  if (R.number[k] !== null) {
    line.classList.add("message");
    line.dataset.row = k;
    if (isChosen(k)) line.classList.add("chosen");
  }
  return line;
}

function showLog() {
  const pages = Math.max(1, Math.ceil(matching.length / PAGE));
  page = Math.min(Math.max(0, page), pages - 1);
  const rows = matching.slice(page * PAGE, (page + 1) * PAGE);
  body.replaceChildren(...rows.map(logRow));
  const count = matching.length.toLocaleString("en");
  byId("found").textContent = pages > 1
    ? `rows ${(page * PAGE + 1).toLocaleString("en")} to ${(page * PAGE + rows.length).toLocaleString("en")} of ${count}`
    : `${count} row${matching.length === 1 ? "" : "s"}`;
  byId("earlier").disabled = page === 0;
  byId("later").disabled = page === pages - 1;
}

function showRow() {
  const at = matching.findIndex(isChosen);
  if (at < 0) return;
  if (page !== Math.floor(at / PAGE) || body.rows.length === 0) {
    page = Math.floor(at / PAGE);
    showLog();
  }
  for (const line of body.querySelectorAll(".chosen")) line.classList.remove("chosen");
  const line = body.rows[at - page * PAGE];
  line.classList.add("chosen");
  const box = body.closest(".scroll"); // only the table scrolls, the page stays where it is
  box.scrollTop = line.offsetTop - box.clientHeight / 2;
}

function search() {
  const wanted = byId("search").value.toLowerCase();
  const has = (text) => text !== null && text !== undefined && text.toLowerCase().includes(wanted);
  matching = [...R.t.keys()].filter((k) => !wanted || has(R.text[k]) || has(R.text2[k]) || has(R.event[k]));
  page = 0;
  showLog();
}

byId("search").addEventListener("input", search);
byId("earlier").addEventListener("click", () => { page--; showLog(); });
byId("later").addEventListener("click", () => { page++; showLog(); });
body.addEventListener("click", (event) => {
  const line = event.target.closest("tr.message");
  if (line && !String(getSelection())) find(R.number[line.dataset.row], timeInR[line.dataset.row]);
});

// ---- begin

const head = byId("log").tHead.insertRow();
for (const name of ["seconds", ...data.lanes]) {
  head.appendChild(Object.assign(document.createElement("th"), { scope: "col", textContent: name }));
}
showLog();

async function drawAll() {
  await drawTimeline();
  for (const name of ["strip", "shares", ...Object.keys(data.valueCharts), "latency"]) if (byId(name)) await draw(name);
}

shown = P.number.length ? messagesWindow() : shown;
if (data.first !== null) choose(P.number.indexOf(data.first));
drawAll().then(() => {
  followHash();
  document.documentElement.dataset.drawn = "yes";
});
addEventListener("hashchange", followHash);
dark.addEventListener("change", drawAll);
