// Each claim as a dot with its interval, beside the published value.
const VERDICTS = { holds: ["circle", "holds"], "does not hold": ["x", "does not hold"], undecided: ["circle-open", "undecided"] };

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
