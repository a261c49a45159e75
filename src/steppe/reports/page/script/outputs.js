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

// Rows that are drawn at once, and from how many on a table is searched.
const MOST_ROWS = 500, SEARCHED_FROM = 20;

// A latent's page elsewhere is led to, by a click alone; any other text stays text.
function content(text) {
  return /^https:\/\/www\.neuronpedia\.org\/[\w./-]+$/.test(text) ? make("a", { href: text, rel: "noreferrer" }, text.slice(27)) : text;
}

// What a cell is ordered by: the number that it begins with, if its column has numbers.
function sortedBy(rows, column, is_number, sign) {
  const key = rows.map((row) => (is_number ? parseFloat(row[column].replace(",", "")) : row[column]));
  const missing = (place) => (is_number && Number.isNaN(key[place]) ? 1 : 0);
  const compare = (a, b) => missing(a) - missing(b) || (key[a] < key[b] ? -sign : key[a] > key[b] ? sign : 0);
  return [...rows.keys()].sort((a, b) => compare(a, b) || a - b);
}

function showTable(table, place) {
  const { columns, rows, numeric } = table.shown, kind = (column) => (numeric[column] ? { class: "number" } : {});
  const texts = rows.map((row) => row.join("\n").toLowerCase());
  const body = make("tbody"), told = make("span", { "aria-live": "polite" }), heads = [];
  let order = [...rows.keys()], by = -1, sign = 1, query = "";
  const draw = () => {
    const found = order.filter((row) => texts[row].includes(query));
    body.replaceChildren(...found.slice(0, MOST_ROWS).map((row) => make("tr", {}, ...rows[row].map((text, column) => make("td", kind(column), content(text))))));
    const few = found.length > MOST_ROWS ? ` The first ${MOST_ROWS} of ${found.length} rows are shown.` : query ? ` ${found.length} of ${rows.length} rows.` : "";
    told.textContent = few + (table.left_out ? ` ${table.left_out} more are in tables/${table.name}.csv.` : "");
  };
  const sort = (column) => {
    sign = by === column ? -sign : 1;
    by = column;
    order = sortedBy(rows, column, numeric[column], sign);
    heads.forEach((head, other) => { if (other === by) head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending"); else head.removeAttribute("aria-sort"); });
    draw();
  };
  const is_long = rows.length >= SEARCHED_FROM;
  heads.push(...columns.map((text, column) => make("th", { scope: "col", ...kind(column) }, is_long ? make("button", { type: "button", class: "sort", onclick: () => sort(column) }, text) : text)));
  const search = make("input", { type: "search", placeholder: "any", oninput: (event) => { query = event.target.value.toLowerCase(); draw(); } });
  draw();
  return make("details", place < 3 ? { open: "" } : {}, make("summary", {}, table.title),
    ...(is_long ? [make("p", { class: "search" }, make("label", {}, "rows that contain ", search))] : []),
    make("div", { class: "wide", id: `output-${table.name}`, tabindex: "-1" }, make("table", {},
      make("caption", {}, table.caption, told), make("thead", {}, make("tr", {}, ...heads)), body)),
    make("p", { class: "save" }, make("button", { type: "button", onclick: () => download(`${table.name}.csv`, csv([table.columns, ...table.rows]), "text/csv") }, "CSV")));
}

function showTables() {
  $("tables").hidden = !RUN.tables.length;
  $("tables").append(...RUN.tables.map(showTable));
}

function showFigures() {
  $("figures").hidden = !RUN.figures.length;
  for (const figure of RUN.figures) {
    $("figures").append(make("figure", { id: `output-${figure.name}`, tabindex: "-1" }, make("h3", {}, figure.title),
      make("img", { src: figure.image, alt: figure.caption, loading: "lazy" }), make("figcaption", {}, figure.caption)));
  }
}
