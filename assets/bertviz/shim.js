// BertViz asks require.js for its two libraries; both are on the page already, so handing them over is enough.
window.require = window.requirejs = (names, run) => run(...names.map((name) => ({ jquery: jQuery, d3 })[name]));
window.require.config = () => {};

// BertViz wants the four parts of a pair's attention beside the whole; cut from it here, they cost no bytes.
const params = window.bertviz_params;
const part = ({ attn, left_text, right_text, queries, keys }, left, right) => ({
  attn: attn.map((layer) => layer.map((head) => head.slice(...left).map((row) => row.slice(...right)))),
  left_text: left_text.slice(...left),
  right_text: right_text.slice(...right),
  queries: queries?.map((layer) => layer.map((head) => head.slice(...left))),
  keys: keys?.map((layer) => layer.map((head) => head.slice(...right))),
});
if (params.second_sentence) {
  const side = { a: [0, params.second_sentence], b: [params.second_sentence] };
  for (const name of ["aa", "bb", "ab", "ba"]) {
    params.attention[name] = part(params.attention.all, side[name[0]], side[name[1]]);
  }
}

const vis = document.getElementById("vis");

// A click in the model view opens a detail that may lie outside the visible part.
vis.addEventListener("click", () => {
  document.querySelector("rect.detail")?.scrollIntoView({ block: "nearest", inline: "nearest" });
});

// style.css shrinks the pictures by the room that there is for them, and says so where that is not enough.
const measure = () => {
  const room = vis.clientWidth - parseFloat(getComputedStyle(vis).paddingLeft);
  document.documentElement.style.setProperty("--room", room);
  document.documentElement.classList.toggle("wide", vis.scrollWidth > vis.clientWidth + 1);
};
window.addEventListener("resize", measure);
vis.addEventListener("click", () => setTimeout(measure)); // it opens what is wider
setTimeout(measure); // when the picture is there
measure();

// Paper does not scroll: what is too wide for it shrinks.
const SHEET = 690; // CSS pixels between the margins of A4 and of Letter
window.addEventListener("beforeprint", () => vis.style.setProperty("--on-paper", Math.min(1, SHEET / vis.scrollWidth)));
