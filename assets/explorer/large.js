// The large picture of a side: one head as a heat map, or one and more heads as lines. Both draw with any pen.

const ROOM = 7; // pixels a letter of a label takes, about
const LEAST = 0.01; // weights below are no line
const NUMBERED = 23; // pixels of a cell that has room for its number

// ---- heat map: rows from, columns to

function mapGeometry(matrix, width) {
  const longest = (units) => Math.min(14, Math.max(1, ...units.map(({ label }) => label.length)));
  const left = 12 + longest(matrix.rows) * ROOM;
  const top = 10 + longest(matrix.columns) * ROOM * 0.85;
  const room = (width - left - 24) / Math.max(1, matrix.columns.length);
  const cell = Math.max(1, Math.min(34, room));
  return {
    left, top, cell,
    width: left + cell * matrix.columns.length + 24,
    height: top + cell * matrix.rows.length + 4,
  };
}

function drawMap(pen, matrix, at, theme, colourOf) {
  const { left, top, cell } = at;
  const [rows, columns] = [matrix.rows.length, matrix.columns.length];
  if (!rows || !columns) return;
  pen.cells(matrix.values, columns, colourOf, left, top, cell * columns, cell * rows);
  const every = Math.max(1, Math.ceil(11 / cell));
  const label = (unit) => (unit.label.length > 14 ? `${unit.label.slice(0, 13)}…` : unit.label);
  const ink = css(theme.text);
  matrix.rows.forEach((unit, i) => {
    if (i % every === 0) pen.text(label(unit), left - 5, top + cell * (i + 0.5), { align: "right", colour: ink });
  });
  matrix.columns.forEach((unit, i) => {
    if (i % every === 0) pen.text(label(unit), left + cell * (i + 0.5), top - 6, { colour: ink, turn: -55 });
  });
  if (cell < NUMBERED) return;
  matrix.values.forEach((value, i) => {
    if (Math.abs(value) < 0.005) return;
    const colour = colourOf(value);
    const [x, y] = [left + cell * ((i % columns) + 0.5), top + cell * (Math.floor(i / columns) + 0.5)];
    pen.text(value.toFixed(2).replace("0.", "."), x, y, { align: "center", colour: legible(colour), size: 10 });
  });
}

// Black or white, whichever stands out from a colour (luminance of Rec. 709).
function legible([red, green, blue]) {
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 128 ? "#111" : "#fff";
}

function cellAt(matrix, at, x, y) {
  const column = Math.floor((x - at.left) / at.cell);
  const row = Math.floor((y - at.top) / at.cell);
  const [inRows, inColumns] = [row >= 0 && row < matrix.rows.length, column >= 0 && column < matrix.columns.length];
  if (inRows && inColumns) return { row, column };
  if (inRows && x < at.left) return { row, column: null };
  if (inColumns && y < at.top) return { row: null, column };
  return null;
}

// ---- lines: from the tokens that read to the tokens that are read, downwards or, for scripts like Chinese, across

// `heads` that are drawn at once: several have a legend above.
function linesGeometry(matrix, width, flat, heads) {
  const most = Math.max(matrix.rows.length, matrix.columns.length, 1);
  const top = heads > 1 ? 20 : 0;
  if (!flat) {
    const step = Math.max(12, Math.min(24, 420 / most));
    return { flat, step, top, near: width * 0.3, far: width * 0.7, start: top + 26, width, height: top + 32 + step * most };
  }
  const step = Math.max(12, Math.min(64, (width - 20) / most));
  return { flat, step, top, near: top + 92, far: top + 250, start: 10, width: Math.max(width, 20 + step * most), height: top + 346 };
}

function lineEnds(at, row, column) {
  const [from, to] = [at.start + at.step * (row + 0.5), at.start + at.step * (column + 0.5)];
  return at.flat ? [from, at.near, to, at.far] : [at.near, from, at.far, to];
}

// layers of lines: [{ matrix, colour }]; `only` limits them to some rows or columns.
function drawLines(pen, drawn, at, theme, only) {
  const { rows, columns } = drawn[0].matrix;
  const ink = css(theme.text);
  const strong = (unit) => !only || only.has(unit);
  const write = (unit, i, place, align, turn) => {
    const along = at.start + at.step * (i + 0.5);
    const [x, y] = at.flat ? [along, place] : [place, along];
    pen.text(unit.label.slice(0, 18), x, y, { align, turn, colour: strong(unit) ? ink : theme.faint });
  };
  if (!at.flat) {
    pen.text("from", at.near - 6, at.top + 12, { align: "right", colour: theme.faint });
    pen.text("to", at.far + 6, at.top + 12, { colour: theme.faint });
  }
  const slanted = at.step < 40 ? 55 : 0;
  rows.forEach((unit, i) => write(unit, i, at.near + (at.flat ? -10 : -6), at.flat ? (slanted ? "right" : "center") : "right", at.flat ? slanted : 0));
  columns.forEach((unit, i) => write(unit, i, at.far + (at.flat ? 10 : 6), at.flat ? (slanted ? "left" : "center") : "left", at.flat ? slanted : 0));
  const none = drawn.every(({ matrix }) => matrix.values.every((weight) => Math.abs(weight) < LEAST));
  if (none) pen.text("No weight reaches 0.01: no line.", at.flat ? at.start : at.near, at.top + (at.flat ? 170 : 12), { colour: ink });
  for (const { matrix, colour } of drawn) {
    const bins = Array.from({ length: 10 }, () => []); // lines of about the same weight are drawn in one go
    matrix.values.forEach((weight, i) => {
      if (weight < LEAST) return;
      const [row, column] = [Math.floor(i / columns.length), i % columns.length];
      if (!(strong(rows[row]) || strong(columns[column]))) return;
      bins[Math.min(9, Math.floor(weight * 10))].push(lineEnds(at, row, column));
    });
    bins.forEach((ends, bin) => ends.length && pen.lines(ends, colour, 0.08 + 0.092 * (bin + 1)));
  }
}
