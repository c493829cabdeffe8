// A browser that translates the page must leave tokens and numbers as the models have them: on these parts of the page
// it finds the attribute that says so. Streamlit gives its own parts none.

(() => {
const PARTS = [
  ".tokens", ".guess", ".found .row", ".card b", ".model .name", ".said bdi", ".printed table", ".printed a",
  "[data-testid=stPlotlyChart]", "[data-testid=stDataFrame]", "[data-testid^=stSlider]", ".katex", "[role=listbox]",
  ".stSelectbox .react-aria-ComboBox", ".st-key-pick-changed button",
];
const FRESH = PARTS.map((part) => `${part}:not([translate=no])`).join();
let waiting = false;

function mark() {
  waiting = false;
  for (const part of document.querySelectorAll(FRESH)) {
    part.setAttribute("translate", "no");
    part.classList.add("notranslate"); // what Google Translate asks for
  }
}

function changed() {
  if (!waiting) requestAnimationFrame(mark);
  waiting = true;
}

// The page stays when the script is drawn anew.
if (!document.documentElement.dataset.untranslated) {
  document.documentElement.dataset.untranslated = "heard";
  new MutationObserver(changed).observe(document.body, { childList: true, subtree: true });
  changed();
}
})();
