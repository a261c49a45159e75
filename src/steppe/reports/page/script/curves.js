// Means, bands and single curves, and what they are filtered by.
// Thin lines of each kind, and of all kinds together: more would bury the means.
const MOST_LINES = 40, MOST_IN_ALL = 160;

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
