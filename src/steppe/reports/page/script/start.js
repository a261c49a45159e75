// Once the parts stand: show them, and what the address asks for.
function start() {
  const place = readAddress();
  drawClaims();
  drawCurves();
  drawMap();
  if (place.startsWith("output-")) goTo(place.slice(7));
  else if (place) $(place)?.scrollIntoView();
}

showClaims();
showTables();
showFigures();
if (!RUN.curves.length) $("curves").hidden = true;
if (!RUN.maps.length) $("maps").hidden = true;
showFacts();
start();
addEventListener("hashchange", start);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", start);
addEventListener("keydown", (event) => { if (event.key === "Escape" && state.s) set({ s: "" }); });
document.documentElement.dataset.ready = "yes";
