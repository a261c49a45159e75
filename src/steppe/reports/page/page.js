"use strict";
// Texts are written as text, never as HTML: nothing that a prompt holds takes effect.
const RUN = JSON.parse(document.getElementById("data").textContent);
// Thin lines of each kind, and of all kinds together: more would bury the means.
const MOST_LINES = 40, MOST_IN_ALL = 160;
const VERDICTS = { holds: ["circle", "holds"], "does not hold": ["x", "does not hold"], undecided: ["circle-open", "undecided"] };
const $ = (id) => document.getElementById(id);

function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.map((child) => (child instanceof Node ? child : String(child))));
  return made;
}

// Plotly reads a little HTML in texts.
const plain = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (typeof value !== "number") return String(value);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(digits)));
}

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function layout(further) {
  const axis = { gridcolor: ink("--line"), zerolinecolor: ink("--soft"), automargin: true };
  const { xaxis = {}, yaxis = {}, ...rest } = further;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: ink("--ink"), size: 12 },
    margin: { l: 50, r: 10, t: 10, b: 40 }, hovermode: "closest",
    legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
    xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis }, ...rest,
  };
}
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["toImage"] };

function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], { type }));
  const link = make("a", { href: address, download: name });
  link.click();
  URL.revokeObjectURL(address);
}

function csv(rows) {
  // What a spreadsheet would compute begins with an apostrophe.
  const cell = (value) => {
    let text = value === null || value === undefined ? "" : String(value);
    if (/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
    return /[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function saving(place, chart, name, rows) {
  place.replaceChildren(
    make("button", { type: "button", onclick: () => Plotly.downloadImage($(chart), { format: "svg", filename: name, width: 900, height: 500 }) }, "SVG"),
    make("button", { type: "button", onclick: () => download(`${name}.csv`, csv(rows()), "text/csv") }, "CSV"),
  );
}

// ---- state, kept in the address, so that a link shows what was seen
const state = { d: "0", m: "0", n: "0", h: "cumulative", q: "", s: "", r: "", b: "", k: "", t: "0", md: "0", ms: "0", mc: "0" };

function readAddress() {
  for (const key of Object.keys(state)) if (key.startsWith("f.") ) delete state[key];
  Object.assign(state, { d: "0", m: "0", n: "0", h: "cumulative", q: "", s: "", r: "", b: "", k: "", t: "0", md: "0", ms: "0", mc: "0" });
  const [place, query = ""] = location.hash.slice(1).split("?");
  for (const [key, value] of new URLSearchParams(query)) if (key in state || key.startsWith("f.")) state[key] = value;
  return place;
}

function writeAddress(place = "curves") {
  const kept = Object.entries(state).filter(([key, value]) => value !== "" && !(value === "0" && key !== "s") && value !== "cumulative");
  const query = new URLSearchParams(kept).toString();
  history.replaceState(null, "", `#${place}${query ? `?${query}` : ""}`);
}

function set(changes) {
  Object.assign(state, changes);
  writeAddress();
  drawCurves();
}

// ---- what was run, claims, tables, figures
function goTo(name) {
  const target = $(`output-${name}`);
  if (!target) return;
  const details = target.closest("details");
  if (details) details.open = true;
  target.scrollIntoView({ block: "start" });
  target.focus({ preventScroll: true });
}

function showFacts() {
  $("title").textContent = RUN.title;
  $("question").textContent = (RUN.facts.find(([name]) => name === "study") ?? ["", ""])[1];
  $("sentence").textContent = RUN.sentence;
  for (const [name, value] of RUN.facts) $("facts").append(make("dt", {}, name), make("dd", {}, value));
  for (const section of document.querySelectorAll("main > section")) {
    if (!section.hidden) $("parts").append(make("a", { href: `#${section.id}` }, section.querySelector("h2").textContent));
  }
}

function showClaims() {
  if (!RUN.claims.length) { $("claims").hidden = true; return; }
  $("claims-note").textContent = RUN.claims_note;
  const head = ["claim", "verdict", "what it says", "number", "published", "shown in"];
  const body = RUN.claims.map((claim) => {
    const corrected = claim.verdict_holm && claim.verdict_holm !== claim.verdict ? ` (${claim.verdict_holm} after Holm's correction)` : "";
    const links = claim.outputs.flatMap((name) => [make("a", { href: `#output-${name}`, onclick: (event) => { event.preventDefault(); goTo(name); } }, name.replace(/_/g, " ")), " "]);
    return make("tr", { id: `claim-${claim.id}` },
      make("th", { scope: "row" }, claim.id),
      make("td", { class: claim.verdict.replace(/ /g, "_") }, claim.verdict + corrected),
      make("td", {}, claim.statement, make("br"), make("span", { class: "note" }, claim.quantity)),
      make("td", { class: "number" }, `${number(claim.number)} [${number(claim.low)}, ${number(claim.high)}]`),
      make("td", { class: "number" }, number(claim.published)),
      make("td", {}, ...links));
  });
  $("claims-table").append(make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...body));
}

function drawClaims() {
  if (!RUN.claims.length) return;
  const shown = RUN.claims.filter((claim) => claim.number !== null);
  const scale = shown.map((claim) => Math.max(...[claim.number, claim.low, claim.high, claim.published].map((value) => Math.abs(value ?? 0))) || 1);
  const hover = shown.map((claim) => plain(`${claim.id} ${claim.verdict}: ${number(claim.number)} [${number(claim.low)}, ${number(claim.high)}]`) + `<br>${plain(claim.statement).replace(/(.{60,80}) /g, "$1<br>")}`);
  const traces = Object.entries(VERDICTS).map(([verdict, [symbol, label]]) => {
    const rows = shown.map((_, i) => i).filter((i) => shown[i].verdict === verdict);
    return {
      type: "scatter", mode: "markers", name: label, showlegend: rows.length > 0,
      x: rows.map((i) => shown[i].number / scale[i]), y: rows.map((i) => shown[i].id), text: rows.map((i) => hover[i]), hoverinfo: "text",
      error_x: { type: "data", symmetric: false, color: ink("--soft"), thickness: 1.5,
        array: rows.map((i) => ((shown[i].high ?? shown[i].number) - shown[i].number) / scale[i]), arrayminus: rows.map((i) => (shown[i].number - (shown[i].low ?? shown[i].number)) / scale[i]) },
      marker: { symbol, size: 9, color: ink("--ink"), line: { width: 2, color: ink("--ink") } },
    };
  });
  const published = shown.map((_, i) => i).filter((i) => shown[i].published !== null && shown[i].published !== undefined);
  traces.push({ type: "scatter", mode: "markers", name: "as published", showlegend: published.length > 0, x: published.map((i) => shown[i].published / scale[i]), y: published.map((i) => shown[i].id),
    text: published.map((i) => plain(`${shown[i].id}, as published: ${number(shown[i].published)}`)), hoverinfo: "text", marker: { symbol: "diamond-open", size: 10, color: "#d55e00", line: { width: 2 } } });
  const chart = $("claims-chart");
  Plotly.react(chart, traces, layout({
    height: 90 + 22 * shown.length, xaxis: { range: [-1.08, 1.08], showticklabels: false, title: { text: "denied  ←  0  →  holds (each on its own scale)" } },
    yaxis: { type: "category", categoryarray: shown.map((claim) => claim.id).reverse(), categoryorder: "array", dtick: 1 },
  }), { ...CONFIG, displayModeBar: false });
  chart.removeAllListeners?.("plotly_click");
  chart.on("plotly_click", (event) => {
    const claim = RUN.claims.find((one) => one.id === event.points[0].y);
    goTo(claim.outputs[0] ?? "");
  });
}

function showTables() {
  $("tables").hidden = !RUN.tables.length;
  RUN.tables.forEach((table, place) => {
    const { columns, rows, numeric } = table.shown, kind = (column) => (numeric[column] ? { class: "number" } : {});
    const left = table.left_out ? ` ${table.left_out} more rows are in tables/${table.name}.csv.` : "";
    $("tables").append(make("details", place < 3 ? { open: "" } : {}, make("summary", {}, table.title),
      make("div", { class: "wide", id: `output-${table.name}`, tabindex: "-1" }, make("table", {},
        make("caption", {}, table.caption + left),
        make("thead", {}, make("tr", {}, ...columns.map((text, column) => make("th", { scope: "col", ...kind(column) }, text)))),
        make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((text, column) => make("td", kind(column), text))))))),
      make("p", { class: "save" }, make("button", { type: "button", onclick: () => download(`${table.name}.csv`, csv([table.columns, ...table.rows]), "text/csv") }, "CSV"))));
  });
}

function showFigures() {
  $("figures").hidden = !RUN.figures.length;
  for (const figure of RUN.figures) {
    $("figures").append(make("figure", { id: `output-${figure.name}`, tabindex: "-1" }, make("h3", {}, figure.title),
      make("img", { src: figure.image, alt: figure.caption, loading: "lazy" }), make("figcaption", {}, figure.caption)));
  }
}

// ---- curves
const buffers = new Map();
function decoded(text, Kind) {
  if (!buffers.has(text)) buffers.set(text, new Kind(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer));
  return buffers.get(text);
}

function chosen() {
  const set = RUN.curves[Math.min(Number(state.d) || 0, RUN.curves.length - 1)];
  const metric = set.metrics[Math.min(Number(state.m) || 0, set.metrics.length - 1)];
  const kinds = set.facets.at(-1)?.name === "kind" ? set.facets.at(-1) : { name: "kind", labels: ["curves"] };
  const others = set.facets.filter((facet) => facet !== kinds);
  let first = 0;
  for (const facet of others) first = first * facet.labels.length + Math.min(Number(state[`f.${facet.name}`]) || 0, facet.labels.length - 1);
  const hidden = new Set(state.k ? state.k.split(".").map(Number) : []);
  return { set, metric, kinds, others, cell: (kind) => first * kinds.labels.length + kind, hidden, numbers: metric.numbers[Math.min(Number(state.n) || 0, metric.numbers.length - 1)] };
}

function positions(set, others) {
  const mode = others.find((facet) => facet.name === "mode");
  const name = mode ? mode.labels[Math.min(Number(state["f.mode"]) || 0, mode.labels.length - 1)] : "";
  const known = set.positions[name];
  return known ?? { unit: "step", values: [...Array(set.steps).keys()] };
}

function curveOf(set, metric, cell, place) {
  const packed = decoded(metric.curves.values, Uint16Array), low = decoded(metric.curves.low, Float32Array), width = decoded(metric.curves.width, Float32Array);
  const row = cell * set.cards.length + place;
  return Array.from(packed.subarray(row * set.steps, (row + 1) * set.steps), (value) => (value === 65535 ? null : low[row] + (value / 65534) * width[row]));
}

function range(text) {
  const found = text.split("_").map(Number);
  return text && found.length === 2 && found.every(Number.isFinite) ? found : null;
}

// Which of the kept samples a kind's curves are drawn of: those that the filters leave.
function places(picked, kind) {
  const { set, numbers, cell } = picked, brush = range(state.b), query = state.q.toLowerCase();
  const values = decoded(numbers.values, Float32Array);
  return [...set.cards.keys()].filter((place) => {
    const value = values[cell(kind) * set.counted.length + set.shown[place]];
    return (!brush || (value >= brush[0] && value <= brush[1])) && (!query || set.cards[place].tokens.join("").toLowerCase().includes(query));
  });
}

function choice(label, key, options) {
  const select = make("select", { id: `choice-${key}`, onchange: (event) => set({ [key]: event.target.value, ...(key === "d" ? { m: "0", n: "0", s: "", r: "", b: "", k: "" } : {}), ...(key === "n" || key === "m" ? { b: "" } : {}) }) },
    ...options.map((text, index) => make("option", { value: key === "h" ? text : String(index) }, text)));
  select.value = state[key] ?? "0";
  return make("label", {}, label, select);
}

function showChoices(picked) {
  const { set: one, others } = picked;
  const query = make("input", { id: "choice-q", type: "search", value: state.q, placeholder: "any", onchange: (event) => set({ q: event.target.value }) });
  const sample = make("select", { id: "choice-s", onchange: (event) => set({ s: event.target.value }) }, make("option", { value: "" }, "none"),
    ...one.cards.map((card) => make("option", { value: String(card.sample) }, `${card.sample}: ${card.tokens.join("").slice(0, 40)}`)));
  sample.value = state.s;
  $("choices").replaceChildren(
    choice("dataset", "d", RUN.curves.map((each) => each.dataset + (RUN.curves.filter((other) => other.dataset === each.dataset).length > 1 ? ` (${each.metrics[0].name})` : ""))),
    choice("metric", "m", one.metrics.map((metric) => metric.label)),
    ...others.map((facet) => choice(facet.name, `f.${facet.name}`, facet.labels)),
    choice("number", "n", picked.metric.numbers.map((each) => each.name)), choice("shown as", "h", ["cumulative", "histogram"]),
    make("label", {}, "prompt contains", query), make("label", {}, "sample", sample),
    make("button", { type: "button", id: "reset", onclick: () => set({ q: "", r: "", b: "", k: "", s: "" }) }, "Show all"));
}

function drawCurves() {
  if (!RUN.curves.length) { $("curves").hidden = true; return; }
  const picked = chosen(), { set: one, metric, kinds, others, cell, hidden } = picked;
  showChoices(picked);
  const at = positions(one, others), traces = [], drawn = [];
  const most = Math.max(5, Math.min(MOST_LINES, Math.floor(MOST_IN_ALL / kinds.labels.length)));
  let count = 0;
  kinds.labels.forEach((label, kind) => {
    const style = one.styles[kind] ?? one.styles[0], shows = hidden.has(kind) ? "legendonly" : true;
    const part = (text) => Array.from(decoded(text, Float32Array).subarray(cell(kind) * one.steps, (cell(kind) + 1) * one.steps));
    const group = { legendgroup: String(kind), visible: shows };
    traces.push({ ...group, x: [...at.values, ...[...at.values].reverse()], y: [...part(metric.high), ...part(metric.low).reverse()], type: "scatter", mode: "lines", fill: "toself", fillcolor: `${style.color}26`, line: { width: 0 }, hoverinfo: "skip", showlegend: false });
    drawn.push(null);
    const found = places(picked, kind);
    count = Math.max(count, found.length);
    const some = found.length <= most ? found : Array.from({ length: most }, (_, i) => found[Math.round((i * (found.length - 1)) / (most - 1))]);
    const x = [], y = [], text = [];
    for (const place of some) {
      const curve = curveOf(one, metric, cell(kind), place);
      x.push(...at.values, null); y.push(...curve, null);
      curve.forEach((value, step) => text.push(`${plain(label)}, sample ${one.cards[place].sample}<br>step ${step} (${number(at.values[step])} ${plain(at.unit)}): ${number(value)}<br>${plain(one.cards[place].tokens.slice(-12).join(""))}`));
      text.push("");
    }
    traces.push({ ...group, x, y, text, hoverinfo: "text", type: "scatter", mode: "lines", opacity: 0.3, line: { width: 1, color: style.color }, showlegend: false });
    drawn.push(some);
    traces.push({ ...group, x: at.values, y: part(metric.mean), name: plain(label), type: "scatter", mode: "lines", line: { width: 3, color: style.color, dash: style.dash }, hovertemplate: `mean of ${plain(label)}<br>%{x}: %{y:.4g}<extra></extra>` });
    drawn.push(null);
  });
  const zoom = range(state.r), chart = $("curves-chart");
  Plotly.react(chart, traces, layout({ height: 440, xaxis: { title: { text: plain(at.unit) }, ...(zoom ? { range: zoom } : { autorange: true }) }, yaxis: { title: { text: plain(metric.unit === "1" ? metric.label : `${metric.label} (${metric.unit})`) } } }), CONFIG);
  for (const name of ["plotly_click", "plotly_relayout", "plotly_legendclick"]) chart.removeAllListeners?.(name);
  chart.on("plotly_click", (event) => {
    const hit = event.points.find((point) => drawn[point.curveNumber]);
    if (hit) set({ s: String(one.cards[drawn[hit.curveNumber][Math.floor(hit.pointIndex / (one.steps + 1))]].sample) });
  });
  chart.on("plotly_relayout", (event) => {
    if ("xaxis.range[0]" in event) { state.r = `${number(event["xaxis.range[0]"], 6)}_${number(event["xaxis.range[1]"], 6)}`; writeAddress(); }
    else if (event["xaxis.autorange"]) { state.r = ""; writeAddress(); }
  });
  chart.on("plotly_legendclick", (event) => {
    const kind = Number(event.data[event.curveNumber].legendgroup);
    if (hidden.has(kind)) hidden.delete(kind); else hidden.add(kind);
    set({ k: [...hidden].sort((a, b) => a - b).join(".") });
    return false;
  });
  const kept = one.cards.length < one.samples ? `The page keeps the single curves of ${one.cards.length} of ${one.samples} samples; all are in the run folder. ` : "";
  const filtered = state.q || state.b ? `The filters leave ${count} of them. ` : "";
  const few = count > most ? `${most} thin lines a kind are drawn. ` : "";
  $("curves-note").textContent = `Thick: mean of ${one.counted.length} samples; shaded: 10th to 90th percentile; thin: single samples. ${kept}${filtered}${few}A click on a thin line opens its sample.`;
  saving($("curves-save"), "curves-chart", `${one.dataset}_${metric.name}`, () => [["kind", "what", at.unit, "value"],
    ...kinds.labels.flatMap((label, kind) => ["mean", "low", "high"].flatMap((what) => Array.from(decoded(metric[what], Float32Array).subarray(cell(kind) * one.steps, (cell(kind) + 1) * one.steps), (value, step) => [label, what, at.values[step], value]))),
    ...kinds.labels.flatMap((label, kind) => places(picked, kind).flatMap((place) => curveOf(one, metric, cell(kind), place).map((value, step) => [label, `sample ${one.cards[place].sample}`, at.values[step], value])))]);
  drawNumbers(picked);
  showCard(picked, at);
}

function drawNumbers(picked) {
  const { set: one, kinds, cell, hidden, numbers, metric } = picked, chart = $("numbers-chart");
  const values = decoded(numbers.values, Float32Array), of = (kind) => Array.from(values.subarray(cell(kind) * one.counted.length, (cell(kind) + 1) * one.counted.length)).filter(Number.isFinite);
  const all = kinds.labels.flatMap((_, kind) => (hidden.has(kind) ? [] : of(kind)));
  const low = all.reduce((a, b) => Math.min(a, b), Infinity), high = all.reduce((a, b) => Math.max(a, b), -Infinity), size = Math.max((high - low) / 25, all.every(Number.isInteger) ? 1 : 1e-9);
  const is_cumulative = state.h === "cumulative";
  const traces = kinds.labels.map((label, kind) => {
    const style = one.styles[kind] ?? one.styles[0], mine = of(kind);
    const shared = { name: plain(label), visible: !hidden.has(kind), showlegend: false };
    if (!is_cumulative) return { ...shared, type: "histogram", x: mine, histnorm: "probability", xbins: { start: low - size / 2, end: high + size, size }, opacity: 0.55, marker: { color: style.color, line: { width: 1, color: style.color } }, hovertemplate: `${plain(label)}<br>%{x}: %{y:.1%}<extra></extra>` };
    const sorted = mine.sort((a, b) => a - b);
    return { ...shared, type: "scatter", mode: "lines", x: sorted, y: sorted.map((_, i) => (i + 1) / sorted.length), line: { shape: "hv", color: style.color, dash: style.dash }, hovertemplate: `${plain(label)}<br>%{x}: %{y:.1%}<extra></extra>` };
  });
  const brush = range(state.b);
  Plotly.react(chart, traces, layout({ height: 440, barmode: "overlay", dragmode: "select", selectdirection: "h", xaxis: { title: { text: plain(`${numbers.name}, ${metric.name}`) } }, yaxis: { title: { text: is_cumulative ? "share of samples up to there" : "share of samples" } },
    shapes: brush ? [{ type: "rect", xref: "x", yref: "paper", x0: brush[0], x1: brush[1], y0: 0, y1: 1, line: { width: 1, color: ink("--ink") }, fillcolor: "rgba(128,128,128,0.15)" }] : [] }), CONFIG);
  for (const name of ["plotly_click", "plotly_selected"]) chart.removeAllListeners?.(name);
  const brushed = (from, to) => set({ b: `${number(from, 6)}_${number(to, 6)}` });
  chart.on("plotly_selected", (event) => { if (event?.range?.x) brushed(...event.range.x); });
  chart.on("plotly_click", (event) => { brushed(event.points[0].x - size / 2, event.points[0].x + size / 2); });
  saving($("numbers-save"), "numbers-chart", `${one.dataset}_${metric.name}_${numbers.name.replace(/ /g, "_")}`, () => [["kind", "sample", numbers.name],
    ...kinds.labels.flatMap((label, kind) => Array.from(values.subarray(cell(kind) * one.counted.length, (cell(kind) + 1) * one.counted.length), (value, i) => [label, one.counted[i], Number.isFinite(value) ? value : ""]))]);
}

// ---- one sample
// What the model would say along the way: a slider, and the likeliest next tokens towards each kind.
function saying(picked, at, known) {
  const { set: one, kinds, cell, hidden } = picked, next = one.next;
  if (!next) return [make("p", { class: "note" }, "No next tokens were kept: the paths' logits were not read, or none were asked for.")];
  const row = next.samples.indexOf(known.sample);
  if (row < 0) return [make("p", { class: "note" }, `The likeliest next tokens were kept for ${next.samples.length} samples, and not for this one: the first in the list have them.`)];
  const tokens = decoded(next.tokens, next.bits === 16 ? Uint16Array : Uint32Array), likely = decoded(next.probabilities, Uint16Array);
  const told = make("output", { for: "place" }), body = make("tbody", { id: "next-tokens" });
  const shown = kinds.labels.map((_, kind) => kind).filter((kind) => !hidden.has(kind));
  const at_place = (kind, place, rank) => ((cell(kind) * next.samples.length + row) * next.steps.length + place) * next.top + rank;
  const fill = (place) => {
    const step = next.steps[place];
    told.textContent = at.unit === "step" ? `step ${step}` : `step ${step} (${number(at.values[step])} ${at.unit})`;
    body.replaceChildren(...Array.from({ length: next.top }, (_, rank) => make("tr", {}, make("th", { scope: "row" }, rank + 1),
      ...shown.map((kind) => {
        const where = at_place(kind, place, rank), text = next.texts[tokens[where]], share = likely[where] / 65535;
        const is_new = !Array.from({ length: next.top }, (_, other) => tokens[at_place(kind, 0, other)]).includes(tokens[where]);
        return make("td", is_new ? { class: "new" } : {}, make("span", { class: "token" }, text), ` ${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`);
      }))));
  };
  const start = Math.min(Number(state.t) || 0, next.steps.length - 1);
  const slider = make("input", { id: "place", type: "range", min: "0", max: String(next.steps.length - 1), step: "1", value: String(start),
    oninput: (event) => { state.t = event.target.value; writeAddress(); fill(Number(state.t)); mark(at.values[next.steps[Number(state.t)]]); } });
  fill(start);
  return [make("p", { class: "slide" }, make("label", { for: "place" }, "What the model would say next, along the way: "), slider, " ", told),
    make("p", { class: "note" }, "Bold: not among the likeliest at the base."),
    make("div", { class: "wide" }, make("table", { class: "next" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "rank"), ...shown.map((kind) => make("th", { scope: "col" }, kinds.labels[kind])))), body))];
}

function mark(x) {
  Plotly.relayout("card-chart", { shapes: [{ type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: { width: 1, dash: "dot", color: ink("--ink") } }] });
}

function showCard(picked, at) {
  const { set: one, metric, kinds, cell, hidden } = picked, card = $("card");
  const place = one.cards.findIndex((each) => String(each.sample) === state.s);
  card.hidden = place < 0;
  if (place < 0) { card.replaceChildren(); return; }
  const known = one.cards[place];
  const values = kinds.labels.map((_, kind) => metric.numbers.map((each) => decoded(each.values, Float32Array)[cell(kind) * one.counted.length + one.shown[place]]));
  const step = (by) => set({ s: String(one.cards[(place + by + one.cards.length) % one.cards.length].sample) });
  card.replaceChildren(
    make("h3", { id: "card-title", tabindex: "-1" }, `Sample ${known.sample}`),
    make("p", {}, make("button", { type: "button", onclick: () => step(-1) }, "← before"), " ", make("button", { type: "button", onclick: () => step(1) }, "next →"), " ", make("button", { type: "button", id: "card-close", onclick: () => set({ s: "" }) }, "close")),
    make("p", { class: "tokens", "aria-label": "prompt" }, ...known.tokens.map((token, i) => make("span", i === known.tokens.length - 1 ? { class: "last" } : {}, token))),
    make("div", { id: "card-chart", class: "chart" }),
    ...saying(picked, at, known),
    make("div", { class: "wide" }, make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "kind"), ...metric.numbers.map((each) => make("th", { scope: "col", class: "number" }, each.name)))),
      make("tbody", {}, ...kinds.labels.map((label, kind) => make("tr", {}, make("th", { scope: "row" }, label), ...values[kind].map((value) => make("td", { class: "number" }, number(value)))))))),
    make("dl", {}, ...known.facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, number(value))])));
  Plotly.react("card-chart", kinds.labels.map((label, kind) => ({ type: "scatter", mode: "lines", name: plain(label), visible: hidden.has(kind) ? "legendonly" : true, x: at.values, y: curveOf(one, metric, cell(kind), place), line: { color: one.styles[kind]?.color, dash: one.styles[kind]?.dash } })),
    layout({ height: 300, xaxis: { title: { text: plain(at.unit) } }, yaxis: { title: { text: plain(metric.label) } } }), CONFIG);
  if (one.next?.samples.includes(known.sample)) mark(at.values[one.next.steps[Math.min(Number(state.t) || 0, one.next.steps.length - 1)]]);
}

// ---- planes
function drawMap() {
  if (!RUN.maps.length) { $("maps").hidden = true; return; }
  const pick = (key, list) => Math.min(Number(state[key]) || 0, list.length - 1);
  const one = RUN.maps[pick("md", RUN.maps)], sample = pick("ms", one.samples), corner = pick("mc", one.corners);
  const select = (label, key, options) => {
    const made = make("select", { id: `choice-${key}`, onchange: (event) => { Object.assign(state, { [key]: event.target.value, ...(key === "md" ? { ms: "0", mc: "0" } : {}) }); writeAddress("maps"); drawMap(); } },
      ...options.map((text, index) => make("option", { value: String(index) }, text)));
    made.value = String(pick(key, options));
    return make("label", {}, label, made);
  };
  $("map-choices").replaceChildren(select("plane of", "md", RUN.maps.map((each) => `${each.dataset}: ${each.label}`)),
    select("sample", "ms", one.samples.map((number, index) => `${number}: ${(one.prompts[index] ?? "").slice(-40)}`)),
    ...(one.corners.length > 1 ? [select("measured from", "mc", one.corners)] : []));
  const size = one.rows * one.columns, row = sample * one.corners.length + corner;
  const whole = decoded(one.values.values, Uint16Array).subarray(row * size, (row + 1) * size);
  const low = decoded(one.values.low, Float32Array)[row], width = decoded(one.values.width, Float32Array)[row];
  const z = Array.from({ length: one.rows }, (_, y) => Array.from(whole.subarray(y * one.columns, (y + 1) * one.columns), (value) => (value === 65535 ? null : low + (value / 65534) * width)));
  const x = one.x?.[sample] ?? [...Array(one.columns).keys()], y = one.y?.[sample] ?? [...Array(one.rows).keys()];
  const unit = one.unit === "1" ? one.label : `${one.label} (${one.unit})`, traces = [{ type: "heatmap", x, y, z, colorscale: "Viridis", colorbar: { title: { text: plain(unit), side: "right" } }, hovertemplate: "%{x}, %{y}: %{z:.4g}<extra></extra>" }];
  const at = one.at?.[sample];
  if (at) traces.push({ type: "scatter", mode: "markers+text", x: at.map((place) => place[0]), y: at.map((place) => place[1]), text: one.corners.map(plain), textposition: "top center", hoverinfo: "text", textfont: { color: "#ffffff" }, marker: { size: 11, symbol: ["circle", "square", "diamond"], color: "#ffffff", line: { width: 2, color: "#000000" } } });
  Plotly.react("map-chart", traces, layout({ height: 480, xaxis: { title: { text: one.x ? "along the first direction" : "column of the grid" }, constrain: "domain" }, yaxis: { title: { text: one.y ? "along the second direction" : "row of the grid" }, ...(at ? { scaleanchor: "x" } : {}) } }), CONFIG);
  const kept = one.samples.length < one.of ? ` The page keeps ${one.samples.length} of ${one.of} planes.` : "";
  $("map-note").textContent = `Drag to look closer, twice click to come back.${kept}${one.prompts[sample] ? ` The base's prompt: ${one.prompts[sample]}` : ""}`;
  saving($("map-save"), "map-chart", `${one.dataset}_${one.name}_${one.samples[sample]}`, () => [["x", "y", unit], ...y.flatMap((place, i) => x.map((other, j) => [other, place, z[i][j]]))]);
}

function start() {
  const place = readAddress();
  drawClaims();
  drawCurves();
  drawMap();
  if (place.startsWith("output-")) goTo(place.slice(7));
  else if (place) $(place)?.scrollIntoView();
}

showClaims();
showTables();
showFigures();
if (!RUN.curves.length) $("curves").hidden = true;
if (!RUN.maps.length) $("maps").hidden = true;
showFacts();
start();
addEventListener("hashchange", start);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", start);
addEventListener("keydown", (event) => { if (event.key === "Escape" && state.s) set({ s: "" }); });
document.documentElement.dataset.ready = "yes";
