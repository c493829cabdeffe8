// The row of lenses above the pictures, and what the keys do.

const PICTURES = { map: "Heat map", lines: "Lines", flat: "Lines across" };
const WEIGHTS = { raw: "Attention", norm: "Norm-weighted", rollout: "Rollout" };
const OVER = { one: "One head", mean: "Mean of the layer", max: "Maximum of the layer" };
const PARTS = { all: "All", aa: "A → A", ab: "A → B", ba: "B → A", bb: "B → B" };
const KEYS = [
  ["← →", "previous and next head"],
  ["↑ ↓", "next and previous layer: layer 1 is at the bottom"],
  ["Space", "play through the layers"],
  ["Esc", "let go of picked tokens"],
  ["Shift + click on a small map", "one more head among the lines"],
  ["?", "this list"],
];

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function choose(label, name, options, explorer) {
  const select = element("select", { "aria-label": label, name });
  for (const [value, words] of Object.entries(options)) select.append(element("option", { value, textContent: words }));
  select.onchange = () => explorer.set({ [name]: select.value });
  return element("label", { className: "control" }, element("span", { textContent: label }), select);
}

function tick(label, name, explorer) {
  const box = element("input", { type: "checkbox", name });
  box.onchange = () => explorer.set({ [name]: box.checked });
  return element("label", { className: "control tick" }, box, element("span", { textContent: label }));
}

function slide(label, name, low, explorer, title = "") {
  const range = element("input", { type: "range", min: low, max: 100, name, "aria-label": label });
  const value = element("output", { name: `${name}-shown` });
  range.oninput = () => explorer.set({ [name]: Number(range.value) });
  return element("label", { className: "control", title }, element("span", { textContent: label }), range, value);
}

// On a phone there is no Shift: while this is ticked, a tap on a small map adds its head to the lines.
function adds(explorer) {
  const box = element("input", { type: "checkbox" });
  box.onchange = () => (explorer.adding = box.checked);
  return element("label", { className: "control tick adds" }, box, element("span", { textContent: "Add heads" }));
}

function controls(explorer) {
  const { measures } = explorer.header;
  const sorts = { grid: "Layer and head", ...Object.fromEntries(measures.map(({ key, label }) => [key, label])) };
  const save = (words, kind) => element("button", { type: "button", textContent: words, onclick: () => explorer.save(kind) });
  // On a phone the lenses would hide the picture that they are for.
  const fold = element("button", { type: "button", className: "fold", textContent: "Lenses", ariaExpanded: "false" });
  fold.onclick = () => (fold.ariaExpanded = String(bar.classList.toggle("open")));
  const bar = element(
    "div",
    { className: "controls" },
    fold,
    choose("Picture", "layout", PICTURES, explorer),
    choose("Weights", "weights", WEIGHTS, explorer),
    choose("Heads", "over", OVER, explorer),
    choose("Sentences", "part", PARTS, explorer),
    tick("Whole words", "words", explorer),
    tick("Hide special", "hide", explorer),
    tick("Renormalise", "renorm", explorer),
    tick("Left − right", "minus", explorer),
    adds(explorer),
    slide("Top share", "top", 1, explorer),
    choose("Sort heads by", "sort", sorts, explorer),
    slide("At least", "least", 0, explorer, "Heads with less of the measure fade. Of a distance: with less than this share of the longest."),
    element(
      "details",
      { className: "save" },
      element("summary", { textContent: "Save" }),
      element("div", {}, save("PNG", "png"), save("SVG", "svg"), save("CSV", "csv"), save("HTML, works offline", "html")),
    ),
    element("button", { type: "button", className: "help", textContent: "?", title: "Keys", onclick: () => explorer.help() }),
  );
  return bar;
}

// Let every control show the choice.
function mirror(bar, explorer) {
  const { choice, paired, sides } = explorer;
  for (const field of bar.querySelectorAll("[name]:is(select, input)")) {
    const value = choice[field.name];
    if (field.type === "checkbox") field.checked = value;
    else if (field.value !== String(value)) field.value = String(value);
  }
  for (const shown of bar.querySelectorAll("output")) shown.textContent = `${choice[shown.name.replace("-shown", "")]} %`;
  const hide = (name, hidden) => (bar.querySelector(`[name=${name}]`).closest("label").hidden = hidden);
  hide("part", !paired);
  hide("minus", sides.length < 2);
  hide("least", choice.sort === "grid");
  const alone = choice.layout === "map" || choice.over !== "one" || choice.weights === "rollout";
  bar.querySelector(".adds").hidden = alone;
  bar.querySelector("[name=over]").disabled = choice.weights === "rollout"; // it is of all heads
  explorer.adding = !alone && bar.querySelector(".adds input").checked;
}

function pressed(explorer, event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own
  if (event.target.matches("select, input") && event.key !== "Escape") return;
  const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 0], ArrowDown: [-1, 0] }[event.key];
  if (move) explorer.step(...move);
  else if (event.key === " " && !event.target.matches("button, summary")) explorer.play();
  else if (event.key === "Escape") explorer.release();
  else if (event.key === "?") explorer.help();
  else return;
  event.preventDefault();
}
