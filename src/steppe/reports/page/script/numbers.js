// The distribution of one number of each curve; a brush of it filters the curves.
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
