// Streamlit's text area sends its text when it loses the focus, or on Ctrl+Enter. In the boxes for the text a short
// pause or a plain Enter does the same: by pressing Ctrl+Enter for the writer. Shift+Enter still starts a new line.

(() => {
const BOX = ":is(.st-key-pick-text, .st-key-pick-text-phone) textarea";
const PAUSE = 250; // milliseconds
let timer;

function send(area) {
  clearTimeout(timer);
  area.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true }));
}

function typed({ target, isComposing }) {
  if (!target.matches?.(BOX)) return;
  clearTimeout(timer);
  if (!isComposing) timer = setTimeout(() => send(target), PAUSE); // a Chinese word half spelled is no text yet
}

function pressed(event) {
  const plain = event.key === "Enter" && !event.shiftKey && !event.ctrlKey && !event.metaKey && !event.isComposing;
  if (!plain || !event.target.matches?.(BOX)) return;
  event.preventDefault();
  event.stopPropagation();
  send(event.target);
}

// The page stays when the script is drawn anew.
if (!document.documentElement.dataset.typing) {
  document.documentElement.dataset.typing = "heard";
  document.addEventListener("input", typed);
  document.addEventListener("compositionend", typed);
  document.addEventListener("keydown", pressed, true);
}
})();
