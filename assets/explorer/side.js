// One side of the explorer: a model's sentence, atlas, large picture and numbers.

const MOST = APART.length + 1; // heads beside the chosen one, each with a colour of its own
const GRID = "One row per layer, layer 1 at the bottom; one column per head. In a map, a row is a token that reads, a column a token that is read: rows sum to 1, columns need not.";
const SORTED = "The head with the most of the measure comes first; 3·9 is head 9 of layer 3.";
const PLAIN = " Of a long text the small maps show plain attention; lenses change the large picture.";
const INK = 45; // percent of a token's ground that is coloured at most: its name stays legible

class Side {
  constructor(explorer, model) {
    Object.assign(this, { explorer, model, letter: model.side });
    this.sentence = element("div", { className: "sentence", translate: false });
    const sheet = (name) => element("canvas", { className: name, role: "img" });
    this.canvas = { atlas: sheet("heads"), large: sheet("large") };
    this.atlas = new Atlas(this.canvas.atlas, this.letter);
    this.rings = element("div", { className: "rings" });
    this.note = element("p", { className: "note" });
    this.telling = element("p", { className: "telling" }, ...this.opens());
    this.marks = element("div", { className: "marks" });
    this.heading = element("p", { className: "caption title", translate: false });
    this.caption = element("p", { className: "caption", ariaLive: "polite", translate: false });
    this.list = element("div", { className: "numbers", translate: false });
    this.stage = element("div", { className: "stage", hidden: true }, this.canvas.large, this.marks);
    this.box = element(
      "section",
      { className: `side ${this.letter}`, ariaLabel: model.name },
      this.sentence,
      this.telling,
      element("div", { className: "atlas" }, this.canvas.atlas, this.rings),
      this.note,
      this.heading,
      this.caption,
      this.stage,
      this.list,
    );
    this.listen();
  }

  // ---- what is chosen here

  name(choice) {
    return this.letter === "a" ? choice : `${choice}_b`;
  }

  get choice() {
    return this.explorer.choice;
  }

  get layer() {
    return Math.min(this.choice[this.name("layer")], this.model.layers) - 1;
  }

  get head() {
    return Math.min(this.choice[this.name("head")], this.model.heads) - 1;
  }

  get pins() {
    const tokens = this.choice[this.name("pins")].split(".").map(Number);
    return new Set(tokens.filter((token) => token >= 1 && token <= this.model.tokens.length).map((token) => token - 1));
  }

  // Further heads among the lines: "3.5-4.1" is head 5 of layer 3 and head 1 of layer 4.
  get more() {
    const pairs = this.choice[this.name("more")].split("-").map((pair) => pair.split(".").map((number) => number - 1));
    return pairs.filter(([layer, head]) => layer >= 0 && layer < this.model.layers && head >= 0 && head < this.model.heads);
  }

  // The pair of tokens that this head opens with, while it is shown and nothing is picked.
  get opening() {
    const { model: { start }, choice } = this;
    const shown = choice.layout === "map" && choice.over === "one" && choice.weights === "raw";
    return shown && start && start.layer === this.layer && start.head === this.head && !this.pins.size ? start : null;
  }

  // Where to look first, in a sentence that leads there.
  opens() {
    const { start, tokens } = this.model;
    if (!start) return [];
    const twice = (label) => tokens.indexOf(label) < tokens.lastIndexOf(label);
    const [query, key] = [start.query, start.key].map((token) => `“${tokens[token]}”${twice(tokens[token]) ? ` (${token + 1})` : ""}`);
    const how = start.weight >= 0.5 ? "reads mostly" : start.most ? "reads more than any other token" : "reads";
    const textContent = `Layer ${start.layer + 1}, head ${start.head + 1}: ${query} ${how} ${key} (${start.weight.toFixed(2)})`;
    return [element("button", { className: "start", type: "button", translate: false, textContent, title: "Show this head", onclick: () => this.go(start) })];
  }

  title() {
    const { over, weights } = this.choice;
    const where = weights === "rollout" ? `up to layer ${this.layer + 1}` : `layer ${this.layer + 1}`;
    if (weights === "rollout") return `${this.model.name}: rollout ${where}`;
    const role = over === "one" ? this.model.roles[this.layer * this.model.heads + this.head] : "";
    const which = over === "one" ? `head ${this.head + 1}` : over === "mean" ? "mean of its heads" : "maximum of its heads";
    const kind = weights === "norm" ? ", norm-weighted" : "";
    const does = this.explorer.header.roles[role];
    return `${this.model.name}: ${where}, ${which}${kind}${does ? ` · ${does}` : ""}`;
  }

  // ---- drawing

  // In steps that each fit a frame. What is pointed at meanwhile finds the old picture or the new one, never half of it.
  *draw() {
    const { choice, model, width, explorer: { theme, apart } } = this;
    yield* prepare(model, this.layer, choice);
    const shown = matrix(model, this.layer, this.head, choice);
    const lines = choice.layout === "map" || !shown ? [] : yield* this.layersOfLines(shown, theme);
    yield;
    const { layout } = choice;
    Object.assign(this, { shown, lines, layout });
    if (shown) this.at = layout === "map" ? mapGeometry(shown, width) : linesGeometry(shown, width, layout === "flat", lines.length);
    this.stage.hidden = apart || !shown;
    this.drawLarge();
    yield;
    this.heading.textContent = this.title();
    this.canvas.atlas.ariaLabel = `${model.name}: ${model.layers} layers of ${model.heads} heads as small maps`;
    this.canvas.large.ariaLabel = this.title();
    this.light();
    if (!shown) this.excuse();
    yield;
    this.drawAtlas();
    this.placeRings();
  }

  // The atlas follows some lenses only, and waits until the large pictures are there.
  drawAtlas() {
    const { choice, model, width, explorer: { theme, later } } = this;
    const weights = choice.weights === "norm" ? "norm" : "raw"; // a rollout is of no single head
    const lens = [choice.sort, choice.least, choice.words, choice.hide, choice.renorm, choice.top, choice.part, weights];
    const key = [...lens, width, theme.paper, theme.text, theme.sharp].join();
    if (key === this.drawn) return;
    this.drawn = key;
    this.note.textContent = (choice.sort === "grid" ? GRID : SORTED) + (model.all ? "" : PLAIN);
    this.atlas.arrange(model, choice, width);
    later.set(this.atlas, this.atlas.draw({ ...choice, weights }, theme, width));
  }

  drawLarge() {
    if (this.stage.hidden) return;
    const { theme } = this.explorer;
    this.drawWith(new CanvasPen(sheetOf(this.canvas.large, this.at.width, this.at.height, theme.sharp), theme), theme);
  }

  drawWith(pen, theme) {
    if (this.layout === "map") {
      const ramp = rampTo(theme.paper, theme.side[this.letter]);
      drawMap(pen, this.shown, this.at, theme, (value) => ramp[shade(value)]);
      return;
    }
    const all = [...this.shown.rows, ...this.shown.columns];
    const picked = this.explorer.picked(this, all);
    drawLines(pen, this.lines, this.at, theme, picked.size ? picked : null);
    if (this.lines.length < 2) return;
    const apart = Math.min(62, (this.at.width - 4) / this.lines.length);
    this.lines.forEach(({ name, colour }, i) => pen.text(`● ${name}`, 4 + apart * i, 8, { colour }));
  }

  // The heads whose lines are drawn at once, the chosen one first: [layer, head] each.
  get together() {
    const alone = this.choice.layout === "map" || this.choice.over !== "one" || this.choice.weights === "rollout";
    const more = alone ? [] : this.more.filter(([layer, head]) => layer !== this.layer || head !== this.head);
    return [[this.layer, this.head], ...more.slice(-MOST)];
  }

  *layersOfLines(shown, theme) {
    const colours = [css(theme.side[this.letter]), ...APART, css(theme.text)];
    const drawn = [];
    for (const [i, [layer, head]] of this.together.entries()) {
      const name = `${layer + 1}·${head + 1}`;
      drawn.push({ matrix: i ? matrix(this.model, layer, head, this.choice) : shown, name, colour: colours[i] });
      yield;
    }
    return drawn.filter((one) => one.matrix);
  }

  excuse() {
    const far = this.explorer.report ? "These weights are on their way…" : "The text is long: this file holds only what was shown when it was saved.";
    this.caption.textContent = this.choice.weights === "rollout" && this.model.all ? "Computing the rollout…" : far;
    this.list.replaceChildren();
  }

  placeRings() {
    const { tile } = this.atlas.plan;
    const rings = this.together;
    const whole = this.choice.over !== "one" || this.choice.weights === "rollout";
    this.rings.replaceChildren(
      ...rings.map(([layer, head], i) => {
        const { x, y } = this.atlas.placeOf(layer, head);
        const ring = element("div", { className: i || whole ? "ring faint" : "ring" });
        Object.assign(ring.style, { left: `${x - 2}px`, top: `${y - 2}px`, width: `${tile + 4}px`, height: `${tile + 4}px` });
        return ring;
      }),
    );
  }

  // ---- what the pointer or a pin points at

  light() {
    this.chips();
    const { shown, at, explorer } = this;
    if (!shown) {
      this.marks.replaceChildren();
      return this.lightChips(explorer.picked(this, [...this.chipOf.keys()]), new Map());
    }
    const rows = explorer.picked(this, shown.rows, "row");
    const columns = explorer.picked(this, shown.columns, "column");
    this.markers(rows, columns, at);
    const all = new Set([...rows, ...columns]);
    const to = reads(shown, rows);
    const from = isReadBy(shown, columns);
    this.say(all, [rows, to], [columns, from]);
    if (!all.size && !this.lit) return; // no chip is lit or was
    this.lit = all.size;
    const weight = new Map(shown.columns.map((unit, i) => [unit, to[i]]));
    this.lightChips(all, weight);
  }

  lightChips(picked, weight) {
    const { pins } = this;
    for (const [unit, chip] of this.chipOf) {
      chip.classList.toggle("picked", picked.has(unit));
      chip.classList.toggle("lit", weight.get(unit) > 0.01);
      chip.ariaPressed = String(unit.tokens.some((token) => pins.has(token)));
      chip.style.setProperty("--share", `${Math.round(INK * Math.sqrt(Math.min(1, weight.get(unit) ?? 0)))}%`);
    }
  }

  chips() {
    const { choice, model } = this;
    const key = [choice.words, choice.hide].join();
    if (key === this.chipped) return;
    this.chipped = key;
    const all = sides(model, { ...choice, part: "all" }).rows;
    const labels = all.map(({ label }) => label);
    this.repeated = new Set(labels.filter((label, i) => labels.indexOf(label) < i));
    this.chipOf = new Map(
      all.map((unit) => {
        const chip = element("button", { type: "button", className: unit.special ? "token special" : "token" });
        chip.append(element("bdi", { textContent: unit.label }));
        chip.onpointerenter = (event) => event.pointerType === "mouse" && this.explorer.point({ side: this, row: unit, column: null });
        chip.onpointerleave = () => this.explorer.point(null);
        chip.onclick = () => this.explorer.pin(this, unit);
        return [unit, chip];
      }),
    );
    this.sentence.replaceChildren(...this.chipOf.values());
  }

  markers(rows, columns, at) {
    const marks = [];
    const mark = (left, top, width, height) => {
      const made = element("div", { className: "mark" });
      Object.assign(made.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
      marks.push(made);
    };
    if (this.layout === "map" && !this.stage.hidden) {
      const across = at.cell * this.shown.columns.length;
      const down = at.cell * this.shown.rows.length;
      const hover = this.explorer.hover;
      const showColumns = hover ? Boolean(hover.column) : false;
      const showRows = hover ? Boolean(hover.row) : true;
      const cell = (unit, token) => unit.tokens.includes(token);
      const [row, column] = this.opening && !hover
        ? [this.shown.rows.findIndex((unit) => cell(unit, this.opening.query)), this.shown.columns.findIndex((unit) => cell(unit, this.opening.key))]
        : [-1, -1];
      if (row >= 0 && column >= 0) mark(at.left + at.cell * column, at.top + at.cell * row, at.cell, at.cell);
      this.shown.rows.forEach((unit, i) => showRows && rows.has(unit) && mark(0, at.top + at.cell * i, at.left + across, at.cell));
      this.shown.columns.forEach((unit, i) => showColumns && columns.has(unit) && mark(at.left + at.cell * i, 0, at.cell, at.top + down));
    }
    this.marks.replaceChildren(...marks);
  }

  say(picked, [rows, to], [columns, from]) {
    const { shown } = this;
    const { hover } = this.explorer;
    const cell = this.tapped?.row && this.tapped.column && !hover ? ` · ${this.cell([this.tapped.row], [this.tapped.column])}` : "";
    if (hover?.row && hover.column) this.caption.textContent = this.cell([...rows], [...columns]);
    else if (!picked.size) this.caption.textContent = "Point at a token, or pick some: their numbers appear here.";
    else if (this.opening && !hover && !cell) this.caption.textContent = `Numbers of “${this.named([...picked])}”. Point at another token, or pick some, for theirs.`;
    else this.caption.textContent = `${this.named([...picked])}${picked.size > 1 ? ", summed" : ""}${cell}`;
    const list = (title, sums, units, of) => {
      const sure = shown.sure && of.size < 2; // a sum of rounded numbers is not
      const items = strongest(sums, units).map(({ unit, weight }) =>
        element("li", {}, element("bdi", { textContent: this.named([unit]) }), element("span", { textContent: digits(weight, sure) })),
      );
      return element("div", {}, element("b", { textContent: title }), element("ol", {}, ...items));
    };
    this.list.replaceChildren();
    if (picked.size) this.list.append(list("reads", to, shown.columns, rows), list("is read by", from, shown.rows, columns));
  }

  // The weight from some units to some others, in words. On the side that is not pointed at there may be none of them.
  cell(rows, columns) {
    const { shown } = this;
    if (!rows.length || !columns.length) return "";
    const places = rows.flatMap((row) => columns.map((column) => shown.rows.indexOf(row) * shown.columns.length + shown.columns.indexOf(column)));
    const sum = places.reduce((all, place) => all + shown.values[place], 0);
    const without = shown.left && places.every((place) => shown.left[place]);
    const told = without ? "left out by Top share" : digits(sum, shown.sure && places.length === 1);
    return `from ${this.named(rows)} to ${this.named(columns)}: ${told}`;
  }

  // Units by their labels; one that is there more than once by its place too.
  named(units) {
    const names = units.slice(0, 6).map(({ label, tokens }) => (this.repeated.has(label) ? `${label} (${tokens[0] + 1})` : label));
    return `${names.join(" + ")}${units.length > 6 ? " + …" : ""}`;
  }

  // ---- pointer and touch

  listen() {
    const { atlas, large } = this.canvas;
    const place = (event) => [event.offsetX, event.offsetY];
    atlas.onpointermove = (event) => {
      const found = this.atlas.at(...place(event));
      atlas.title = found ? this.describe(found) : "";
      atlas.style.cursor = found ? "pointer" : "";
    };
    atlas.onclick = (event) => {
      const found = this.atlas.at(...place(event));
      if (found) event.shiftKey || event.ctrlKey || this.explorer.adding ? this.add(found) : this.go(found);
    };
    large.onpointermove = (event) => this.explorer.point(this.under(...place(event)));
    large.onpointerleave = large.onpointercancel = () => this.explorer.point(null);
    large.onclick = (event) => {
      const found = this.under(...place(event));
      if (found) this.explorer.pin(this, found.row ?? found.column);
      if (event.pointerType !== "mouse") this.tapped = found; // a finger does not hover: its cell is told with what it picked
    };
  }

  describe({ layer, head, value }) {
    const role = this.explorer.header.roles[this.model.roles[layer * this.model.heads + head]];
    const sorted = value === null ? "" : ` · ${value.toFixed(3)}`;
    return `layer ${layer + 1}, head ${head + 1}${role ? ` · ${role}` : ""}${sorted}`;
  }

  go({ layer, head }) {
    this.explorer.move(this.letter, "layer", layer + 1);
    this.explorer.move(this.letter, "head", head + 1);
  }

  add({ layer, head }) {
    const name = `${layer + 1}.${head + 1}`;
    const held = this.choice[this.name("more")].split("-").filter(Boolean);
    const more = held.includes(name) ? held.filter((one) => one !== name) : [...held, name].slice(-MOST);
    this.explorer.set({ [this.name("more")]: more.join("-"), layout: this.choice.layout === "map" ? "lines" : this.choice.layout });
  }

  under(x, y) {
    const { at, shown } = this;
    if (!shown) return null;
    if (this.layout === "map") {
      const cell = cellAt(shown, at, x, y);
      if (!cell) return null;
      const [row, column] = [cell.row === null ? null : shown.rows[cell.row], cell.column === null ? null : shown.columns[cell.column]];
      return { side: this, row, column };
    }
    const [along, across] = at.flat ? [x, y] : [y, x];
    const unit = (list) => list[Math.floor((along - at.start) / at.step)] ?? null;
    const reading = across < (at.near + at.far) / 2;
    const found = reading ? { row: unit(shown.rows), column: null } : { row: null, column: unit(shown.columns) };
    return found.row || found.column ? { side: this, ...found } : null;
  }

  // ---- what a CSV holds

  // What was made of the weights, in words.
  lens() {
    const { weights, words, renorm, top } = this.choice;
    const made = [words && "words", renorm && "renormalised", top < 100 && `top ${top} %`].filter(Boolean);
    return [{ raw: "attention", norm: "norm-weighted", rollout: "rollout" }[weights], ...made].join(", ");
  }

  numbers() {
    if (!this.shown) return [];
    const one = this.choice.over === "one" && this.choice.weights !== "rollout";
    const whole = this.choice.weights === "rollout" ? "rollout" : this.choice.over;
    return this.together.map(([layer, head], i) => ({
      model: this.model.name,
      layer: layer + 1,
      head: one ? head + 1 : whole,
      lens: this.lens(),
      matrix: i ? matrix(this.model, layer, head, this.choice) : this.shown,
    })).filter((one) => one.matrix);
  }
}
