// Planes, and triangles of targets: a value at every place of a grid.
const MARKS = ["circle", "square", "diamond"];

// Labels of the corners, and the end of what each is an activation of.
function corners(one, sample, view) {
  const prompts = one.corner_prompts?.[sample]?.[one.weights ? view : 0] ?? [];
  const names = one.weights ? ["first", "second", "third"] : one.views;
  return names.map((name, i) => ({ name, prompt: prompts[i] ?? "", told: prompts.length ? `${name}: ${prompts[i] || "drawn, of no prompt"}` : name }));
}

function planeTraces(one, sample, values, unit, at, told) {
  const z = Array.from({ length: one.rows }, (_, y) => values.slice(y * one.columns, (y + 1) * one.columns));
  const x = one.x?.[sample] ?? [...Array(one.columns).keys()], y = one.y?.[sample] ?? [...Array(one.rows).keys()];
  const traces = [{ type: "heatmap", x, y, z, colorscale: "Viridis", colorbar: { title: { text: plain(unit), side: "right" } }, hovertemplate: "%{x}, %{y}: %{z:.4g}<extra></extra>" }];
  if (at) traces.push({ type: "scatter", mode: "markers+text", x: at.map((place) => place[0]), y: at.map((place) => place[1]), text: told.map((each) => plain(each.name)), hovertext: told.map((each) => plain(each.told)), textposition: "top center", hoverinfo: "text", textfont: { color: "#ffffff" }, marker: { size: 11, symbol: MARKS, color: "#ffffff", line: { width: 2, color: "#000000" } } });
  const shape = { xaxis: { title: { text: one.x ? "along the first direction" : "column of the grid" }, constrain: "domain" }, yaxis: { title: { text: one.y ? "along the second direction" : "row of the grid" }, ...(at ? { scaleanchor: "x" } : {}) } };
  return { traces, shape, rows: () => [["x", "y", unit], ...y.flatMap((place, i) => x.map((other, j) => [other, place, z[i][j]]))] };
}

function triangleTraces(one, values, unit, told) {
  const side = (Math.sqrt(8 * values.length + 1) - 1) / 2, size = Math.min(34, 360 / side);
  const of = (defined) => values.map((_, i) => i).filter((i) => (values[i] === null) !== defined);
  const share = (i) => one.weights[i].map((weight, corner) => `${told[corner].name} ${number(weight, 3)}`).join(", ");
  const trace = (some, what, marker) => ({ type: "scatterternary", mode: "markers", a: some.map((i) => one.weights[i][0]), b: some.map((i) => one.weights[i][1]), c: some.map((i) => one.weights[i][2]), text: some.map((i) => `${what(i)}<br>${share(i)}`), hoverinfo: "text", showlegend: false, cliponaxis: false, marker });
  const reached = of(true), never = of(false);
  const traces = [trace(reached, (i) => `${plain(unit)}: ${number(values[i])}`, { symbol: "hexagon2", size, color: reached.map((i) => values[i]), colorscale: "Viridis", colorbar: { title: { text: plain(unit), side: "right" } } })];
  if (never.length) traces.push(trace(never, () => "none", { symbol: "x-thin-open", size: size / 3, color: ink("--ink") }));
  const axis = (corner) => ({ title: { text: plain(told[corner].name) }, gridcolor: ink("--line"), color: ink("--ink") });
  return { traces, shape: { margin: { l: 50, r: 10, t: 50, b: 40 }, ternary: { bgcolor: "rgba(0,0,0,0)", aaxis: axis(0), baxis: axis(1), caxis: axis(2) } },
    rows: () => [[...told.map((each) => `weight of ${each.name}`), unit], ...one.weights.map((weights, i) => [...weights, values[i]])] };
}

function drawMap() {
  if (!RUN.maps.length) { $("maps").hidden = true; return; }
  const pick = (key, list) => Math.min(Number(state[key]) || 0, list.length - 1);
  const one = RUN.maps[pick("md", RUN.maps)], sample = pick("ms", one.samples), view = pick("mc", one.views);
  const select = (label, key, options) => {
    const made = make("select", { id: `choice-${key}`, onchange: (event) => { Object.assign(state, { [key]: event.target.value, ...(key === "md" ? { ms: "0", mc: "0" } : {}) }); writeAddress("maps"); drawMap(); } },
      ...options.map((text, index) => make("option", { value: String(index) }, text)));
    made.value = String(pick(key, options));
    return make("label", {}, label, made);
  };
  $("map-choices").replaceChildren(select("values of", "md", RUN.maps.map((each) => `${each.dataset}: ${each.label}`)),
    select("sample", "ms", one.samples.map((number, index) => `${number}: ${(one.prompts[index] ?? "").slice(-40)}`)),
    ...(one.views.length > 1 ? [select(one.by, "mc", one.views)] : []));
  const size = one.weights ? one.weights.length : one.rows * one.columns, row = sample * one.views.length + view;
  const whole = decoded(one.values.values, Uint16Array).subarray(row * size, (row + 1) * size);
  const low = decoded(one.values.low, Float32Array)[row], width = decoded(one.values.width, Float32Array)[row];
  const values = Array.from(whole, (value) => (value === 65535 ? null : low + (value / 65534) * width));
  const unit = one.unit === "1" || one.unit.length > 20 ? one.name : `${one.name} (${one.unit})`, told = corners(one, sample, view);
  const drawn = one.weights ? triangleTraces(one, values, unit, told) : planeTraces(one, sample, values, unit, one.at?.[sample], told);
  Plotly.react("map-chart", drawn.traces, layout({ height: 480, ...drawn.shape }), CONFIG);
  const kept = one.samples.length < one.of ? `The page keeps ${one.samples.length} of ${one.of} samples. ` : "";
  $("map-note").textContent = `Drag to look closer, twice click to come back. ${kept}${one.weights ? "Targets between three activations; a cross: the value does not exist there. " : ""}${one.prompts[sample] && (one.weights || !one.corner_prompts) ? `The base's prompt: ${one.prompts[sample]}` : ""}`;
  $("map-corners").replaceChildren(...(one.corner_prompts ? told.map((each, i) => make("li", {}, one.weights ? each.told : `${each.told} (${MARKS[i]})`)) : []));
  saving($("map-save"), "map-chart", `${one.dataset}_${one.name}_${one.samples[sample]}`, drawn.rows);
}
