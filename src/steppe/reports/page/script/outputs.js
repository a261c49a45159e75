// What was run, tables, figures.
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
