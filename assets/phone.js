// On a phone the list of pages lies over the page: it closes when a page is chosen from it.

(() => {
const NARROW = "(max-width: 768px)"; // as Streamlit has it

function chosen({ target }) {
  if (!matchMedia(NARROW).matches || !target.closest?.("[data-testid=stSidebarNavLink]")) return;
  setTimeout(() => document.querySelector("[data-testid=stSidebar] [aria-controls=stSidebar][aria-expanded=true]")?.click());
}

// The page stays when the script is drawn anew.
if (!document.documentElement.dataset.phone) {
  document.documentElement.dataset.phone = "heard";
  document.addEventListener("click", chosen);
}
})();
