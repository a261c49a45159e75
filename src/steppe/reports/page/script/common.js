// What every view stands on: elements, numbers, charts, files, packed data.
// Texts are written as text, never as HTML: nothing that a prompt holds takes effect.
const RUN = JSON.parse(document.getElementById("data").textContent);
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

const buffers = new Map();
function decoded(text, Kind) {
  if (!buffers.has(text)) buffers.set(text, new Kind(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer));
  return buffers.get(text);
}
