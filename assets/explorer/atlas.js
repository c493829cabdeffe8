// The atlas: every head of every layer as a small map on one canvas, each with its name and, when known, its role.

const PIXELS = 24; // a thumbnail has no more cells a side; each shows the largest weight of what it stands for
const SHORT = { previous: "prev", next: "next", self: "self", special: "spec", punctuation: "punct", same: "same", broad: "broad" };
const SIGN = { previous: "←", next: "→", self: "↓", special: "[]", punctuation: ".,", same: "=", broad: "○" }; // where there is no room

// Where each head's thumbnail is: a row per layer, the first at the bottom, as everywhere; or, sorted by a measure, from
// the largest to the smallest.
function plan(model, choice, width) {
  const captions = 11;
  const grid = choice.sort === "grid";
  const most = (model.layers > 8 ? 26 : 40) + (width > 640 ? 12 : 0);
  const gutter = grid ? 16 : 0;
  const tile = grid ? Math.max(10, Math.min(most, Math.floor((width - gutter) / model.heads) - 4)) : most + 4;
  const across = grid ? model.heads : Math.max(1, Math.floor(width / (tile + 4)));
  const places = order(model, choice).map((one, i) => {
    const [row, column] = grid ? [model.layers - 1 - one.layer, one.head] : [Math.floor(i / across), i % across];
    return { ...one, x: gutter + column * (tile + 4), y: 1 + row * (tile + captions + 3) };
  });
  return { places, tile, gutter, height: Math.max(...places.map(({ y }) => y)) + tile + captions + 2 };
}

function order(model, choice) {
  const values = model.measures[choice.sort];
  const heads = [];
  for (let layer = 0; layer < model.layers; layer++) {
    for (let head = 0; head < model.heads; head++) {
      heads.push({ layer, head, value: values ? values[layer * model.heads + head] / 1000 : null });
    }
  }
  if (!values) return heads;
  const most = choice.sort === "distance" ? Math.max(...values) / 1000 : 1; // tokens; everything else is a share
  for (const head of heads) head.share = head.value / (most || 1);
  return heads.sort((a, b) => b.value - a.value);
}

function caption({ layer, head, value }, model, choice, tile) {
  if (choice.sort !== "grid") return tile < 36 ? `${layer + 1}·${head + 1}` : `${layer + 1}·${head + 1} ${value.toFixed(2).replace(/^0/, "")}`;
  const role = (tile < 30 ? SIGN : SHORT)[model.roles[layer * model.heads + head]] ?? "";
  return `${head + 1}${tile < 24 ? "" : " "}${role}`;
}

class Atlas {
  constructor(canvas, side) {
    Object.assign(this, { canvas, side });
  }

  arrange(model, choice, width) {
    this.plan = plan(model, choice, width);
    this.model = model;
    delete this.canvas.dataset.drawn;
  }

  // Names first, then a thumbnail a step.
  *draw(choice, theme, width) {
    const pen = sheetOf(this.canvas, width, this.plan.height, theme.sharp);
    pen.font = theme.font;
    pen.textBaseline = "top";
    const ramp = rampTo(theme.paper, theme.side[this.side]);
    this.names(pen, choice, theme);
    for (const place of this.plan.places) {
      yield;
      this.thumbnail(pen, place, choice, theme, ramp);
    }
    this.canvas.dataset.drawn = "yes";
  }

  names(pen, choice, theme) {
    const { model, plan: { places, tile, gutter } } = this;
    pen.fillStyle = theme.faint;
    if (gutter) for (let layer = 0; layer < model.layers; layer++) {
      pen.fillText(String(layer + 1), 0, places[layer * model.heads].y + tile / 2 - 5, gutter - 2);
    }
    pen.font = theme.font.replace("11px", "9px");
    for (const place of places) pen.fillText(caption(place, model, choice, tile), place.x, place.y + tile + 1, tile + 3);
  }

  thumbnail(pen, place, choice, theme, ramp) {
    const { tile } = this.plan;
    const { values, width } = this.cells(place, choice);
    pen.globalAlpha = place.share < choice.least / 100 ? 0.15 : 1;
    blit(pen, image(values, width, (value) => ramp[shade(value)]), place.x, place.y, tile, tile);
    pen.globalAlpha = 1;
    pen.strokeStyle = theme.line;
    pen.lineWidth = 1;
    pen.strokeRect(place.x - 0.5, place.y - 0.5, tile + 1, tile + 1);
  }

  cells({ layer, head }, choice) {
    const model = this.model;
    if (!model.all) return { values: decode(model.small, layer * model.heads + head), width: model.small.side };
    const found = matrixOfHead(model, layer, head, choice);
    if (!found.values.length) return { values: new Float32Array(1), width: 1 };
    return shrink(found.values, found.rows.length, found.columns.length, PIXELS);
  }

  // The head under a point of the canvas, in CSS pixels.
  at(x, y) {
    const { places, tile } = this.plan;
    return places.find((place) => x >= place.x - 2 && x < place.x + tile + 2 && y >= place.y - 2 && y < place.y + tile + 13);
  }

  placeOf(layer, head) {
    return this.plan?.places.find((place) => place.layer === layer && place.head === head);
  }
}
