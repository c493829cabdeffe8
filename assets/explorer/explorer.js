// The explorer: what is chosen, what is hovered, and everything that is drawn of them. All of it without the server,
// which hears of the choice a moment after it has settled.

const SETTLED = 300; // milliseconds
const BEAT = 700; // milliseconds a layer while playing

class Explorer {
  constructor(root, report) {
    this.root = root;
    this.report = report;
    this.turn = 0;
    this.hover = null; // { side, row, column }: units, either may be null
    this.frame = element("div", { className: "explorer", tabIndex: 0, role: "group", ariaLabel: "Attention of all heads" });
    this.frame.onkeydown = (event) => pressed(this, event);
    this.frame.ontransitionrun = (event) => event.target === this.frame && this.measure(); // the theme has changed
    root.append(this.frame);
    new ResizeObserver(() => this.measure()).observe(this.frame);
  }

  // Take over what the server sent. An answer that a newer one has overtaken is dropped.
  async show(bytes, choice) {
    if (this.bytes && sameBytes(bytes, this.bytes)) return;
    const turn = ++this.turn;
    const header = await unpack(bytes);
    if (turn !== this.turn) return;
    const told = JSON.stringify(header.choice);
    const read = JSON.stringify(header.models.map(({ tokens }) => tokens));
    if (told !== this.told) this.choice = choice ?? { ...header.choice };
    else if (read !== this.read) Object.assign(this.choice, { pins: "", pins_b: "" });
    Object.assign(this, { bytes, header, told, read, models: header.models, hover: null, version: turn });
    this.sides = this.models.map((model) => new Side(this, model));
    if (!this.bar) this.furnish();
    this.room.replaceChildren(...this.sides.map(({ box }) => box));
    this.frame.dataset.ready = String(turn);
    this.measure();
    this.paintNow();
  }

  // What stays while models and texts change: a control that is being used keeps the focus.
  furnish() {
    this.bar = controls(this);
    this.room = element("div", { className: "sides" });
    this.between = element("div", { className: "between" });
    this.frame.append(this.bar, this.room, this.between);
  }

  get paired() {
    return this.models.some(({ segment, special }) => segment.some((which, i) => which && !special[i]));
  }

  set(changes) {
    Object.assign(this.choice, changes);
    this.hover = null;
    this.paint();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), SETTLED);
  }

  tell() {
    const choice = JSON.stringify(this.choice);
    if (choice !== this.reported) this.report(JSON.parse(choice));
    this.reported = choice;
  }

  // A choice of one side; it is the other's too while both move together.
  move(side, name, value) {
    const both = this.choice.together ? ["a", "b"] : [side];
    this.set(Object.fromEntries(both.map((each) => [each === "a" ? name : `${name}_b`, value])));
  }

  // Together both go through all layers and heads of the larger model; the other one stays at its last.
  step(layers, heads) {
    const larger = (count) => [...this.sides].sort((a, b) => b.model[count] - a.model[count])[0];
    const moved = (count) => (this.choice.together ? [larger(count)] : this.sides);
    const next = (now, by, count) => ((now + by + count) % count) + 1;
    if (layers) for (const side of moved("layers")) this.move(side.letter, "layer", next(side.layer, layers, side.model.layers));
    if (heads) for (const side of moved("heads")) this.move(side.letter, "head", next(side.head, heads, side.model.heads));
  }

  play() {
    if (this.playing) {
      clearInterval(this.playing);
      this.playing = null;
    } else {
      this.playing = setInterval(() => (this.frame.isConnected ? this.step(1, 0) : this.play()), BEAT);
    }
  }

  release() {
    if (this.frame.querySelector("dialog")) return this.help();
    this.set({ pins: "", pins_b: "", more: "", more_b: "" });
  }

  pin(side, unit) {
    const pinned = side.pins;
    const held = unit.tokens.some((token) => pinned.has(token));
    for (const token of unit.tokens) held ? pinned.delete(token) : pinned.add(token);
    const changes = { [side.name("pins")]: written(pinned) };
    const other = this.sides.find((each) => each !== side);
    if (other && this.choice.together) {
      const mine = units(side.model, false).filter(({ tokens }) => pinned.has(tokens[0]));
      const theirs = units(other.model, false).filter((token) => mine.some((one) => overlaps(one, token)));
      changes[other.name("pins")] = written(new Set(theirs.flatMap(({ tokens }) => tokens)));
    }
    this.set(changes);
  }

  help() {
    const open = this.frame.querySelector("dialog");
    if (open) return open.remove();
    const rows = KEYS.map(([key, words]) =>
      element("p", {}, element("kbd", { textContent: key }), document.createTextNode(` ${words}`)),
    );
    const about = element("p", {
      textContent: "Rows are the tokens that read, columns the tokens that are read. Weights are exact to the digits shown.",
    });
    const dialog = element("dialog", { open: true, ariaLabel: "Keys" }, ...rows, about);
    dialog.onclick = () => dialog.remove();
    this.frame.append(dialog);
  }

  // ---- drawing

  // Colours and widths, asked for when they can have changed only: the browser must lay the page out to tell them.
  measure() {
    if (!this.models || !this.frame.isConnected) return;
    this.theme = themeOf(this.frame);
    for (const side of this.sides) side.width = side.box.clientWidth;
    this.paint();
  }

  paint() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => this.paintWhenReady());
  }

  // Until a slow lens is prepared the old picture stays.
  paintWhenReady() {
    const start = performance.now();
    const until = sliceEnd();
    const ready = this.sides.every(({ model, layer }) => prepare(model, layer, this.choice, until));
    this.took(start);
    this.waiting = null;
    if (ready) this.paintNow();
    else this.paint();
  }

  paintNow() {
    cancelAnimationFrame(this.waiting);
    this.waiting = null;
    if (!this.frame.isConnected) return; // its page has been left
    const start = performance.now();
    const { choice } = this;
    const { theme } = this;
    mirror(this.bar, choice, this.paired);
    if (choice.weights === "rollout") this.roll();
    const apart = choice.minus && this.sides.length === 2;
    this.between.hidden = !apart;
    for (const side of this.sides) side.draw(theme, apart);
    if (apart) this.drawDifference(theme);
    this.light();
    this.took(start);
  }

  // For the benchmark, which lays a map there: milliseconds of script by frame.
  took(start) {
    const [spent, frame] = [this.frame.spent, document.timeline.currentTime];
    spent?.set(frame, (spent.get(frame) ?? 0) + performance.now() - start);
  }

  // Compute the rollout of the models that lack it, some milliseconds a frame.
  roll() {
    for (const model of this.models) {
      if (model.rollout || model.rolling || !model.all) continue;
      model.rolling = roll(model);
      const step = () => {
        const start = performance.now();
        const until = sliceEnd();
        do if (model.rolling.next().done) return this.paint();
        while (performance.now() < until);
        this.took(start);
        requestAnimationFrame(step);
      };
      requestAnimationFrame(step);
    }
  }

  drawDifference(theme) {
    const [left, right] = this.sides.map(({ shown }) => shown);
    this.between.replaceChildren();
    this.difference = null;
    if (!left || !right) return;
    const found = difference(left, right);
    const colours = { more: rampTo(theme.paper, SIDE.a), less: rampTo(theme.paper, SIDE.b) };
    const colourOf = (value) => (value > 0 ? colours.more : colours.less)[Math.round(255 * Math.min(1, Math.abs(value)))];
    const at = mapGeometry(found, Math.min(640, this.frame.clientWidth));
    const canvas = element("canvas", { role: "img", ariaLabel: "Left minus right, where both have the same tokens" });
    const words = found.rows.length
      ? "Left − right, where tokens stand for the same characters. Blue: the left reads more. Vermilion: the right."
      : "The two models share no token here; with whole words they might.";
    const said = element("p", { className: "caption", ariaLive: "polite" });
    canvas.onpointermove = ({ offsetX, offsetY }) => {
      const cell = cellAt(found, at, offsetX, offsetY);
      const whole = cell && cell.row !== null && cell.column !== null;
      const weight = whole && found.values[cell.row * found.columns.length + cell.column];
      said.textContent = whole ? `from ${found.rows[cell.row].label} to ${found.columns[cell.column].label}: ${weight.toFixed(3)}` : "";
    };
    this.between.append(element("p", { className: "caption", textContent: words }), canvas, said);
    drawMap(new CanvasPen(sheetOf(canvas, at.width, at.height), theme), found, at, theme, colourOf);
    this.difference = { matrix: found, at, colourOf };
  }

  // What the pointer or a pin points at: marks in the maps, lit tokens, words and numbers. No map is drawn anew.
  light() {
    for (const side of this.sides) side.light();
  }

  point(hover) {
    this.hover = hover;
    if (this.choice.layout !== "map") return this.paint();
    const start = performance.now();
    this.light();
    this.took(start);
  }

  // The units of a side that are picked: hovered there, or the same words as those hovered on the other side, or pinned.
  picked(side, all) {
    const hover = this.hover && [this.hover.row, this.hover.column].filter(Boolean);
    if (hover?.length) return new Set(all.filter((unit) => hover.some((one) => (this.hover.side === side ? one === unit : overlaps(one, unit)))));
    return new Set(all.filter((unit) => unit.tokens.some((token) => side.pins.has(token))));
  }

  // ---- saving

  // What a CSV holds: the numbers of each side, or of the one picture of both.
  numbers() {
    const each = this.sides.flatMap((side) => side.numbers());
    if (!this.difference || this.between.hidden) return each;
    const both = (name) => each.map((one) => one[name]).join(" − ");
    return [{ model: both("model"), layer: both("layer"), head: both("head"), matrix: this.difference.matrix }];
  }

  async save(kind) {
    const name = `attention-${this.sides.map((side) => `${side.layer + 1}-${side.head + 1}`).join("-and-")}`;
    const theme = themeOf(this.frame);
    if (kind === "csv") give(`${name}.csv`, "text/csv", csvOf(this.numbers()));
    else if (kind === "html") {
      const style = this.root.querySelector("style")?.textContent ?? document.querySelector("style").textContent;
      give(`${name}.html`, "text/html", pageOf(program.toString(), style, this.bytes, this.choice, theme));
    } else {
      const drawn = this.difference && !this.between.hidden ? [this.difference] : this.sides.filter(({ shown }) => shown);
      const sizes = drawn.map(({ at }) => [at.width, at.height + 24]);
      const width = sizes.reduce((sum, [w]) => sum + w + 16, 0);
      const height = Math.max(...sizes.map(([, h]) => h));
      const svg = kind === "svg" ? new SvgPen(width, height, theme) : null;
      const canvas = new OffscreenCanvas(1, 1);
      const context = svg ? null : sheetOf(canvas, width, height, 2);
      if (context) {
        context.fillStyle = css(theme.paper);
        context.fillRect(0, 0, width, height);
      }
      let left = 0;
      drawn.forEach((one, i) => {
        svg?.group(left, 24);
        context?.setTransform(2, 0, 0, 2, 2 * left, 48);
        const pen = svg ?? new CanvasPen(context, theme);
        const words = one.title?.() ?? "Left − right";
        pen.text(words, 8, -12, { colour: css(theme.text), size: 13 });
        if (one.drawWith) one.drawWith(pen, theme);
        else drawMap(pen, one.matrix, one.at, theme, one.colourOf);
        left += sizes[i][0] + 16;
      });
      if (svg) give(`${name}.svg`, "image/svg+xml", svg.toString());
      else give(`${name}.png`, "image/png", await canvas.convertToBlob({ type: "image/png" }));
    }
    this.frame.querySelector(".save").open = false;
  }
}

function sameBytes(some, others) {
  return some.length === others.length && some.every((byte, i) => byte === others[i]);
}

function written(tokens) {
  return [...tokens].sort((a, b) => a - b).map((token) => token + 1).join(".");
}
