// One sample: its prompt, its curves, and what the model would say along the way.
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
