// Lenses: how one head's weights become the matrix that is shown. Pure functions, held against NumPy by the tests.
// A matrix is { rows, columns, values }: units (tokens or words) from and to, and the weights row by row.

const KEPT = 24; // means and maxima of layers remembered for each model

function matrix(model, layer, head, lens) {
  const weights = combined(model, layer, head, lens);
  if (weights === null) return null;
  const { rows, columns } = sides(model, lens);
  const values = merge(weights, model.tokens.length, rows, columns);
  if (lens.renorm) renormalise(values, columns.length);
  const left = lens.top < 100 ? keepTop(values, columns.length, lens.top / 100) : null;
  // One head's own weights, or the largest of them, are the server's to the digit; sums and quotients of them are not.
  const own = lens.weights === "raw" && lens.over !== "mean" && !lens.words && !lens.renorm;
  return { rows, columns, values, sure: own, left };
}

// The same of one head alone, whatever is done over heads: for thumbnails.
function matrixOfHead(model, layer, head, lens) {
  return matrix(model, layer, head, { ...lens, over: "one" });
}

// ---- weights: raw, norm-weighted, rollout; of one head, or mean or maximum over the heads of a layer

function combined(model, layer, head, lens) {
  if (lens.weights !== "rollout" && lens.over === "one") return weighed(model, layer, head, lens.weights);
  [...prepare(model, layer, lens)];
  const kept = lens.weights === "rollout" ? model.rollout?.[layer] : null;
  return (kept ?? model.cache.get(nameOf(layer, lens)))?.slice() ?? null; // what is shown is changed by other lenses
}

function nameOf(layer, { weights, over }) {
  return `${weights} ${weights === "rollout" ? "" : over} ${layer}`; // a rollout is of all heads always
}

// The mean or maximum over a layer's heads, norm-weighted, takes longer than a frame has: it is prepared head by head.
// Whoever begins again goes on where the last one stopped.
function* prepare(model, layer, lens) {
  const name = nameOf(layer, lens);
  if (lens.over === "one" || lens.weights === "rollout" || model.cache.has(name) || !isHere(model, layer, 0, lens)) return;
  if (model.making?.name !== name) model.making = { name, steps: overHeads(model, layer, lens) };
  let step;
  while (!(step = model.making.steps.next()).done) yield;
  model.making = null;
  if (model.cache.size >= KEPT) model.cache.delete(model.cache.keys().next().value);
  model.cache.set(name, step.value);
}

// Gives back the matrix when all heads are through.
function* overHeads(model, layer, { weights, over }) {
  const total = new Float32Array(model.tokens.length ** 2);
  const share = 1 / model.heads;
  for (let head = 0; head < model.heads; head++) {
    const one = weighed(model, layer, head, weights);
    if (over === "max") for (let i = 0; i < total.length; i++) total[i] = total[i] > one[i] ? total[i] : one[i];
    else for (let i = 0; i < total.length; i++) total[i] += share * one[i];
    yield;
  }
  return total;
}

function weighed(model, layer, head, kind) {
  const weights = weightsOf(model, layer, head);
  if (weights === null || kind !== "norm") return weights;
  // ‖weight · f(x)‖ of Kobayashi et al. (2020), as a share of its row: how much of the vectors arrives from where.
  const tokens = model.tokens.length;
  const sizes = model.sizes.subarray(model.here.get(layer * model.heads + head) * tokens);
  for (let i = 0; i < weights.length; i += tokens) for (let key = 0; key < tokens; key++) weights[i + key] *= sizes[key];
  renormalise(weights, tokens);
  return weights;
}

// Rollout (Abnar and Zuidema 2020): R_l = Ā_l R_{l−1}, Ā = rownorm(mean over heads + I). All layers, a few rows at a
// step, so that no frame waits for it.
function* roll(model) {
  const tokens = model.tokens.length;
  const done = [];
  for (let layer = 0; layer < model.layers; layer++) {
    const mixed = yield* overHeads(model, layer, { weights: "raw", over: "mean" });
    for (let i = 0; i < tokens; i++) mixed[i * tokens + i] += 1;
    renormalise(mixed, tokens);
    const rolled = layer ? new Float32Array(tokens * tokens) : mixed;
    for (let row = 0; layer && row < tokens; row++) {
      const into = rolled.subarray(row * tokens, (row + 1) * tokens);
      for (let middle = 0; middle < tokens; middle++) {
        const share = mixed[row * tokens + middle];
        const below = done[layer - 1].subarray(middle * tokens, (middle + 1) * tokens);
        for (let column = 0; column < tokens; column++) into[column] += share * below[column];
      }
      if (row % 16 === 15) yield;
    }
    done.push(rolled);
    yield;
  }
  model.rollout = done;
}

// ---- units: tokens or whole words, of one sentence or both, with or without special tokens

function sides(model, lens) {
  model.units ??= { true: units(model, true), false: units(model, false) }; // the same objects always: they are compared
  const all = model.units[lens.words].filter((unit) => !(lens.hide && unit.special));
  const part = model.paired ? lens.part : "all";
  const of = (letter) => all.filter((unit) => part === "all" || unit.segment === "ab".indexOf(letter));
  return { rows: of(part[0]), columns: of(part[1]) };
}

function units(model, words) {
  const found = [];
  let special = 0;
  model.tokens.forEach((label, token) => {
    const last = found.at(-1);
    const same = words && last && !model.special[token] && !last.special && model.word[token] === model.word[token - 1];
    if (same) {
      last.label += label.startsWith("##") ? label.slice(2) : label;
      last.tokens.push(token);
      last.end = model.span[2 * token + 1];
      return;
    }
    const [start, end] = [model.span[2 * token], model.span[2 * token + 1]];
    const unit = { label, tokens: [token], segment: model.segment[token], special: Boolean(model.special[token]), start, end };
    if (unit.special) unit.ordinal = special++;
    found.push(unit);
  });
  return found;
}

// Columns are summed and rows averaged (Clark et al. 2019, §2).
function merge(weights, tokens, rows, columns) {
  if (rows.length === tokens && columns.length === tokens) return weights; // each unit is a token
  const values = new Float32Array(rows.length * columns.length);
  rows.forEach((row, r) => {
    const share = 1 / row.tokens.length;
    for (const from of row.tokens) {
      for (let c = 0; c < columns.length; c++) {
        const to = columns[c].tokens;
        for (let k = 0; k < to.length; k++) values[r * columns.length + c] += share * weights[from * tokens + to[k]];
      }
    }
  });
  return values;
}

function renormalise(values, width) {
  for (let start = 0; start < values.length; start += width) {
    let sum = 0;
    for (let i = start; i < start + width; i++) sum += values[i];
    if (sum > 0) for (let i = start; i < start + width; i++) values[i] /= sum;
  }
}

// Keep of every row the largest weights that together hold this share of it; others become 0. Gives back which were left out.
function keepTop(values, width, share) {
  const sorted = new Float32Array(width);
  const left = new Uint8Array(values.length);
  for (let start = 0; start < values.length; start += width) {
    let goal = 0;
    for (let i = 0; i < width; i++) goal += share * (sorted[i] = values[start + i]);
    sorted.sort(); // the smallest first
    let least = 0;
    for (let i = width - 1, held = 0; i >= 0 && held < goal - 1e-6; i--) held += least = sorted[i];
    for (let i = start; i < start + width; i++) if ((left[i] = values[i] < least)) values[i] = 0;
  }
  return left;
}

// ---- two models: which unit of the one is which of the other

function overlaps(one, other) {
  if (one.special || other.special) return one.special && other.special && one.ordinal === other.ordinal;
  return one.segment === other.segment && one.start < other.end && other.start < one.end;
}

function equals(one, other) {
  if (one.special || other.special) return overlaps(one, other);
  return one.segment === other.segment && one.start === other.start && one.end === other.end;
}

// left − right where units stand for the same characters.
function difference(left, right) {
  const pairs = (mine, theirs) =>
    mine.flatMap((unit, i) => {
      const j = theirs.findIndex((other) => equals(unit, other));
      return j < 0 ? [] : [{ unit, i, j }];
    });
  const rows = pairs(left.rows, right.rows);
  const columns = pairs(left.columns, right.columns);
  const values = new Float32Array(rows.length * columns.length);
  rows.forEach((row, r) => {
    columns.forEach((column, c) => {
      const mine = left.values[row.i * left.columns.length + column.i];
      const theirs = right.values[row.j * right.columns.length + column.j];
      values[r * columns.length + c] = mine - theirs;
    });
  });
  return { rows: rows.map(({ unit }) => unit), columns: columns.map(({ unit }) => unit), values, sure: false };
}

// ---- what a picked set of units reads, and who reads it: sums over the picked

function reads(matrix, picked) {
  const sums = new Float32Array(matrix.columns.length);
  matrix.rows.forEach((row, r) => {
    if (!picked.has(row)) return;
    for (let c = 0; c < sums.length; c++) sums[c] += matrix.values[r * sums.length + c];
  });
  return sums;
}

function isReadBy(matrix, picked) {
  const width = matrix.columns.length;
  if (!picked.size) return new Float32Array(matrix.rows.length);
  return Float32Array.from(matrix.rows, (_, r) =>
    matrix.columns.reduce((sum, column, c) => sum + (picked.has(column) ? matrix.values[r * width + c] : 0), 0),
  );
}

function strongest(sums, units, count = 5) {
  return [...sums.keys()]
    .sort((a, b) => sums[b] - sums[a])
    .slice(0, count)
    .filter((i) => sums[i] > 0)
    .map((i) => ({ unit: units[i], weight: sums[i] }));
}
