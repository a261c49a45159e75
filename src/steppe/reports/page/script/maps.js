// Planes.
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
