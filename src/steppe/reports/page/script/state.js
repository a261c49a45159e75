// What is shown, kept in the address, so that a link shows what was seen.
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
