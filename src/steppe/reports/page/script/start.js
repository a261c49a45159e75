// Once the parts stand: show them, and what the address asks for.
function start() {
  const place = readAddress();
  drawClaims();
  drawCurves();
  drawMap();
  arrive(place);
}

function arrive(place) {
  if (place.startsWith("output-")) goTo(place.slice(7));
  else if (place) $(place)?.scrollIntoView();
}

// The plotting library takes most of the time of opening: texts and tables are there before it.
function withCharts() {
  const library = make("script");
  library.textContent = $("plotly").textContent;
  document.head.append(library);
  start();
  addEventListener("hashchange", start);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", start);
  addEventListener("keydown", (event) => { if (event.key === "Escape" && state.s) set({ s: "" }); });
  document.documentElement.dataset.ready = "yes";
}

showClaims();
showTables();
showFigures();
if (!RUN.curves.length) $("curves").hidden = true;
if (!RUN.maps.length) $("maps").hidden = true;
showFacts();
arrive(readAddress());
performance.mark("readable");
requestAnimationFrame(() => setTimeout(withCharts));
