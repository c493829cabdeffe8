// Paper has another width than the screen, and a chart keeps the one that it was drawn for: while the browser prints,
// app.css scales each by the number that is computed here. The address of the view is written there too.

(() => {
const SHEET = 700; // CSS pixels between the margins of A4 and of Letter, about: the pages are counted before they are laid out
const LARGEST = 1.3; // a chart of one half grows a little where it has the whole width
const CHART = "[data-testid=stPlotlyChart]";

function prepare() {
  const charts = [...document.querySelectorAll(CHART)];
  for (const [chart, room] of charts.map((chart) => [chart, roomOf(chart.closest(".stElementContainer"))])) {
    const drawn = parseFloat(chart.querySelector(".main-svg")?.getAttribute("width"));
    if (drawn && room) chart.style.setProperty("--on-paper", Math.min(LARGEST, room / drawn).toFixed(3));
  }
  for (const scene of document.querySelectorAll(".gl-container")) photograph(scene);
  for (const link of document.querySelectorAll(".printed a")) Object.assign(link, { href: location.href, textContent: legible(location.href) });
}

// How wide a place will be: the models' columns are one below the other, and smaller ones inside stay side by side.
function roomOf(place) {
  const half = place.closest(".stHorizontalBlock > .stColumn:has(.model)");
  return (SHEET * place.clientWidth) / (half ?? place.closest(".stMainBlockContainer > *")).clientWidth;
}

// A picture in three dimensions is gone from its canvas as soon as the screen shows it: paper gets a copy. Its words have
// the theme's ink, which in the dark is white.
function photograph(scene) {
  const layout = scene.closest(".js-plotly-plot")?._fullLayout;
  if (!layout?.scene?._scene) return;
  const copy = scene.querySelector("img") ?? scene.appendChild(document.createElement("img"));
  copy.className = isPale(layout.font.color) ? "pale" : "";
  copy.src = layout.scene._scene.toImage("png");
}

function isPale(colour) {
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  return pen.getImageData(0, 0, 1, 1).data[1] > 127;
}

// An address as a person types it: spaces are +, and other signs are themselves where they can be.
function legible(address) {
  try {
    return address.replaceAll("%20", "+").split("%25").map(decodeURI).join("%25");
  } catch {
    return address;
  }
}

// The page stays when the script is drawn anew.
if (!document.documentElement.dataset.printing) {
  document.documentElement.dataset.printing = "heard";
  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", () => document.querySelectorAll(".gl-container img").forEach((copy) => copy.remove()));
  matchMedia("print").addEventListener("change", ({ matches }) => matches && prepare()); // where nothing came before
}
})();
