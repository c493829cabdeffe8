// The explorer: what is chosen, what is hovered, and everything that is drawn of them. All of it without the server,
// which hears of the choice a moment after it has settled.

const SETTLED = 300; // milliseconds
const ON_ITS_WAY = 150; // milliseconds until Streamlit has sent what it was told
const MOVES = /^(layer|head|over|weights|renorm|top)/; // choices that change numbers only, not whose they are
const BEAT = 700; // milliseconds a layer while playing
const SLICE = 6; // milliseconds a frame for drawing, so that no frame of the page is late
const FIRST = 40; // the same for the first picture of a new text, which everybody waits for
const PRINTING = ["beforeprint", "afterprint"];
const SHEET = 690; // CSS pixels between the margins of A4 and of Letter: there one side is below the other
const AWAY = ["pointerdown", "keydown", "click"]; // elsewhere in the document they may lead away from here

class Explorer {
  constructor(root, report) {
    this.root = root;
    this.report = report;
    this.turn = 0;
    this.me = Math.random(); // whose reports these are
    this.reports = 0; // how many were sent
    this.heard = 0; // the last one that the server is known to have heard
    this.mine = {}; // choice → the report that tells it first: until the server has heard it, it stays, and is told again
    this.hover = null; // { side, row, column }: units, either may be null
    this.frame = element("div", { className: "explorer", tabIndex: 0, role: "group", ariaLabel: "Attention of all heads" });
    this.frame.onkeydown = (event) => pressed(this, event);
    this.frame.ontransitionend = (event) => event.target === this.frame && this.measure(); // the theme has changed
    root.append(this.frame);
    this.sheet = matchMedia("print");
    this.printing = ({ type, matches }) => this.print(matches ?? type === "beforeprint");
    this.sheet.addEventListener("change", this.printing);
    for (const kind of PRINTING) addEventListener(kind, this.printing);
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.frame);
    this.away = (event) => event.composedPath().includes(this.frame) || this.beforeLeaving(event);
    for (const kind of AWAY) document.addEventListener(kind, this.away, true);
  }

  // Take over what the server sent. An answer that a newer one has overtaken is dropped.
  async show(bytes, choice) {
    const turn = ++this.turn;
    if (this.bytes && sameBytes(bytes, this.bytes)) return;
    const header = await unpack(bytes);
    if (turn !== this.turn) return;
    for (const model of header.models) this.unpin(model, header.choice);
    const told = JSON.stringify(header.choice);
    if (told !== this.told) this.choice = choice ?? this.agreed(header.choice);
    Object.assign(this, { bytes, header, told, models: header.models, hover: null });
    this.sides = this.models.map((model) => new Side(this, model));
    this.due = new Map(); // large pictures, and of whom each is: steps that are still to be done
    this.later = new Map(); // the same of atlases and rollouts, which give way
    if (!this.bar) this.furnish();
    this.between.clear();
    const focused = this.room.contains(this.frame.getRootNode().activeElement);
    this.room.replaceChildren(...this.sides.map(({ box }) => box));
    if (focused) this.frame.focus({ preventScroll: true });
    this.frame.dataset.ready = String(turn);
    this.measure();
    this.drawDue(FIRST);
  }

  // What the server says, and what it has not heard of yet.
  agreed(choice) {
    if (!this.choice) this.reports = choice.report;
    this.heard = choice.report;
    const newer = this.since(choice.report);
    return { ...choice, ...Object.fromEntries(newer.map((name) => [name, this.choice[name]])) };
  }

  // Another text has other tokens: pins that the server has not heard of yet mean nothing there.
  unpin(model, told) {
    const side = this.sides?.find(({ letter }) => letter === model.side);
    if (!side || side.model.tokens.join("\n") === model.tokens.join("\n")) return;
    delete this.mine[side.name("pins")];
    this.choice[side.name("pins")] = told[side.name("pins")];
  }

  // Its page is gone.
  leave() {
    this.observer.disconnect();
    this.sheet.removeEventListener("change", this.printing);
    for (const kind of PRINTING) removeEventListener(kind, this.printing);
    for (const kind of AWAY) document.removeEventListener(kind, this.away, true);
    clearTimeout(this.timer);
    clearInterval(this.playing);
    this.turn++;
    this.rest();
    this.frame.remove();
  }

  // What stays while models and texts change: a control that is being used keeps the focus.
  furnish() {
    this.bar = controls(this);
    this.room = element("div", { className: "sides" });
    this.between = new Between(this);
    this.frame.append(this.bar, this.room, this.between.box);
  }

  get paired() {
    return this.models.some(({ paired }) => paired);
  }

  set(changes) {
    Object.assign(this.choice, changes);
    const names = Object.keys(changes);
    for (const name of names) this.mine[name] = this.reports + 1;
    if (!names.every((name) => MOVES.test(name))) this.hover = null; // what was pointed at may be gone
    for (const side of this.sides) side.tapped = null;
    this.paint();
    const plays = this.playing && names.every((name) => name.startsWith("layer"));
    if (plays && this.allHere) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tell(), SETTLED);
  }

  // Only what has changed: what has changed elsewhere meanwhile stays so. But all that the server may not have heard:
  // of two reports that come at once Streamlit passes on the last.
  tell() {
    clearTimeout(this.timer);
    if (!this.since(this.reports).length) return;
    this.reports += 1;
    this.toldAt = performance.now();
    const of = (values) => Object.fromEntries(this.since(this.heard).map((name) => [name, values[name]]));
    this.report?.({ ...of(this.choice), made: of(this.mine), report: this.reports, by: this.me });
  }

  // The choices made after a report.
  since(report) {
    return Object.keys(this.mine).filter((name) => this.mine[name] > report);
  }

  // A page link waits until the server has been told: a report that comes after it would lead back to this page.
  beforeLeaving(event) {
    this.tell();
    const link = event.type === "click" && event.target.closest?.("a[href]");
    const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey; // to another tab
    if (!link || elsewhere || !(performance.now() - this.toldAt < ON_ITS_WAY)) return;
    event.preventDefault();
    event.stopPropagation();
    setTimeout(() => link.click(), ON_ITS_WAY + 1);
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
      this.tell();
    } else {
      this.playing = setInterval(() => (this.allHere || !this.report) && this.step(1, 0), BEAT);
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
      textContent: "Rows are the tokens that read (queries), columns the tokens that are read (keys): a row sums to 1. Weights are the model's own, rounded to the digits shown; ≈ marks what was computed from rounded ones.",
    });
    const signs = element("p", {
      textContent: "Where there is no room for words under a small map: ← previous token, → next, ↓ the token itself, [] special tokens, ., punctuation, = same word elsewhere, ○ all about alike.",
    });
    const dialog = element("dialog", { open: true, ariaLabel: "Keys" }, ...rows, about, signs);
    dialog.onclick = () => dialog.remove();
    this.frame.append(dialog);
  }

  // ---- drawing

  // Colours and widths, asked for when they can have changed only: the browser must lay the page out to tell them.
  measure() {
    if (!this.models || !this.frame.isConnected) return;
    this.theme = this.onPaper ? ON_PAPER : themeOf(this.frame);
    this.width = this.onPaper ? SHEET : this.frame.clientWidth;
    for (const side of this.sides) side.width = this.onPaper ? SHEET : side.box.clientWidth;
    this.paint();
  }

  // The browser counts the pages at once: pictures in the paper's width and colours cannot come a frame later.
  print(onPaper) {
    if (onPaper === Boolean(this.onPaper)) return;
    this.onPaper = onPaper;
    this.measure();
    if (onPaper) this.drawDue(Infinity);
  }

  // Of long texts weights come when they are asked for.
  get allHere() {
    return this.sides.every(({ model, layer, head }) => isHere(model, layer, head, this.choice));
  }

  // Both large pictures become one: left − right.
  get apart() {
    return this.choice.minus && this.sides.length === 2;
  }

  // Anew, from what is chosen now. A side that waits already keeps its place: one that is chosen of all the time, as a
  // slider is drawn, must not hold the other up.
  paint() {
    mirror(this.bar, this);
    for (const side of this.sides) this.due.set(side, side.draw());
    if (this.choice.weights === "rollout") for (const model of this.models) this.roll(model);
    this.waiting ??= requestAnimationFrame(() => this.drawDue(SLICE));
  }

  // Some milliseconds of what is due, a step at least. The rest follows in the next frames.
  drawDue(milliseconds) {
    const until = performance.now() + milliseconds;
    this.rest();
    this.waiting = requestAnimationFrame(() => this.drawDue(SLICE));
    for (const queue of [this.due, this.later]) {
      for (const [whose, steps] of queue) {
        while (!steps.next().done) if (performance.now() >= until) return;
        queue.delete(whose);
        if (queue === this.due && whose !== this.between && !this.due.has(this.between)) this.due.set(this.between, this.between.draw());
        if (performance.now() >= until) return;
      }
    }
    if (!this.due.size) this.rest(); // a rollout that is through makes its pictures due
  }

  rest() {
    cancelAnimationFrame(this.waiting);
    this.waiting = null;
  }

  // The rollout of a model that lacks it.
  roll(model) {
    const steps = function* (explorer) {
      yield* roll(model);
      explorer.paint();
    };
    if (model.all && !model.rollout && !this.later.has(model)) this.later.set(model, steps(this));
  }

  // What the pointer or a pin points at: marks in the maps, lit tokens, words and numbers. No map is drawn anew.
  point(hover) {
    this.hover = hover;
    for (const side of this.sides) {
      if (this.choice.layout !== "map") side.drawLarge();
      side.light();
    }
  }

  // The units of a side that are picked: hovered there, or the same words as that hovered on the other side, or pinned;
  // where there are none, the token that the head opens with.
  // `end`, "row" or "column", says what `all` are: of a cell that is hovered each has its own.
  picked(side, all, end) {
    const held = side.pins.size || !side.opening ? side.pins : new Set([side.opening.query]);
    if (!this.hover) return new Set(all.filter((unit) => unit.tokens.some((token) => held.has(token))));
    const { row, column } = this.hover;
    const one = row && column ? this.hover[end] : row ?? column;
    return new Set(all.filter((unit) => (this.hover.side === side ? one === unit : overlaps(one, unit))));
  }

  // ---- saving

  // What a CSV holds: the numbers of each side, or of the one picture of both.
  numbers() {
    const each = this.sides.map((side) => side.numbers());
    if (!this.between.shown) return each.flat();
    const both = (name) => each.map(([chosen]) => chosen[name]).join(" − "); // not of further heads
    return [{ model: both("model"), layer: both("layer"), head: both("head"), lens: this.sides[0].lens(), matrix: this.between.shown }];
  }

  async save(kind) {
    const name = `attention-${this.sides.map((side) => `${side.layer + 1}-${side.head + 1}`).join("-and-")}`;
    const theme = themeOf(this.frame);
    if (kind === "csv") give(`${name}.csv`, "text/csv", csvOf(this.numbers()));
    else if (kind === "html") {
      const style = this.root.querySelector("style")?.textContent ?? document.querySelector("style").textContent;
      give(`${name}.html`, "text/html", pageOf(program.toString(), style, this.bytes, this.choice, theme));
    } else {
      const drawn = this.between.shown ? [this.between] : this.sides.filter(({ shown }) => shown);
      if (!drawn.length) return; // the caption says why there is nothing yet
      const sizes = drawn.map((one) => [Math.max(one.at.width, 16 + widthOf(one.title(), 13)), one.at.height + 24]);
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
        pen.text(one.title(), 8, -12, { colour: css(theme.text), size: 13 });
        one.drawWith(pen, theme);
        left += sizes[i][0] + 16;
      });
      if (svg) give(`${name}.svg`, "image/svg+xml", svg.toString());
      else give(`${name}.png`, "image/png", await canvas.convertToBlob({ type: "image/png" }));
    }
    this.frame.querySelector(".save").open = false;
  }
}

function sameBytes(some, others) {
  if (some.length !== others.length) return false;
  for (let i = 0; some !== others && i < some.length; i++) if (some[i] !== others[i]) return false;
  return true;
}

function written(tokens) {
  return [...tokens].sort((a, b) => a - b).map((token) => token + 1).join(".");
}
