// The one picture of both sides: left − right, where their tokens stand for the same characters.

class Between {
  constructor(explorer) {
    this.explorer = explorer;
    this.words = element("p", { className: "caption" });
    this.canvas = element("canvas", { role: "img", ariaLabel: "Left minus right, where both have the same tokens" });
    this.said = element("p", { className: "caption", ariaLive: "polite", translate: false });
    this.box = element("div", { className: "between", hidden: true }, this.words, this.canvas, this.said);
    this.canvas.onpointermove = ({ offsetX, offsetY }) => this.say(cellAt(this.shown, this.at, offsetX, offsetY));
    this.canvas.onpointerleave = () => this.say(null);
  }

  title() {
    return this.explorer.sides.map((side) => side.title()).join("  −  ");
  }

  clear() {
    this.box.hidden = true;
    this.shown = null;
  }

  // Nothing while nobody asks for it or one side has no picture yet.
  *draw() {
    const { sides, apart, theme, width } = this.explorer;
    const [left, right] = sides.map(({ shown }) => shown);
    if (!apart || !left || !right) return this.clear();
    this.shown = difference(left, right);
    this.box.hidden = false;
    yield;
    this.words.textContent = this.shown.rows.length
      ? "Left − right, where tokens stand for the same characters. Blue: the left reads more. Vermilion: the right."
      : "The two models share no token here; with whole words they might.";
    this.at = mapGeometry(this.shown, Math.min(640, width));
    this.drawWith(new CanvasPen(sheetOf(this.canvas, this.at.width, this.at.height, theme.sharp), theme), theme);
  }

  drawWith(pen, theme) {
    const [more, less] = [rampTo(theme.paper, theme.side.a), rampTo(theme.paper, theme.side.b)];
    drawMap(pen, this.shown, this.at, theme, (value) => (value > 0 ? more : less)[Math.round(255 * Math.min(1, Math.abs(value)))]);
  }

  say(cell) {
    const { rows, columns, values } = this.shown ?? {};
    const whole = cell && cell.row !== null && cell.column !== null;
    const weight = whole && values[cell.row * columns.length + cell.column];
    this.said.textContent = whole ? `from ${rows[cell.row].label} to ${columns[cell.column].label}: ${digits(weight, false)}` : "";
  }
}
