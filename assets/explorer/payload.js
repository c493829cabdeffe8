// What the server sends (encoder/packing.py writes it): a length, a JSON header, and for each model one deflated body.

const SMALL = 255; // codes from here on do not fit a byte and stand in a list of their own
const VALUES = Float32Array.from(valuesOfCodes());

// Tenths of a thousandth below 0.01, then thousandths; on the border of two hundredths one on either side, as two digits
// are shown too. Then three digits, cut off: 900 from 0.01 to 0.1, as many from 0.001 to 0.01, and so on.
function* valuesOfCodes() {
  for (let part = 0; part < 100; part++) yield* part === 50 ? [0.00498, 0.00502] : [part / 10_000];
  for (let part = 10; part <= 1000; part++) yield* part % 10 === 5 ? [(part - 0.2) / 1000, (part + 0.2) / 1000] : [part / 1000];
  for (let tenth = 0; tenth < 44; tenth++) for (let part = 100; part < 1000; part++) yield (part + 0.5) / 10 ** (tenth + 4);
}

async function unpack(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let at = 4 + length;
  const bodies = header.models.map((model) => inflate(bytes.subarray(at, (at += model.bytes))));
  for (const model of header.models) unfold(model, await bodies.shift());
  return header;
}

async function inflate(bytes) {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  writer.write(bytes).then(() => writer.close());
  return new Uint8Array(await new Response(stream.readable).arrayBuffer());
}

// The body: the lengths of values [head, token] of the heads that are here, the large codes of every block, then its
// small ones. The blocks: of a long text all heads as small maps; then the heads that are here; then a map made of more.
function unfold(model, body) {
  const { layers, heads, tokens, shown, made } = model;
  const all = Array.from({ length: layers * heads }, (_, i) => [Math.floor(i / heads), i % heads]);
  let at = 0;
  const words = (count) => {
    const start = at;
    at += 2 * count;
    return new Uint16Array(body.slice(start, at).buffer);
  };
  model.here = new Map((shown ?? all).map(([layer, head], place) => [layer * heads + head, place]));
  model.sizes = words(model.here.size * tokens.length);
  for (const block of model.blocks) block.large = words(block.larges);
  for (const block of model.blocks) {
    block.small = body.subarray(at, (at += block.count * block.side ** 2));
    block.starts = largeStarts(block);
  }
  const blocks = [...model.blocks];
  model.all = shown === null ? blocks[0] : null;
  model.small = shown === null ? null : blocks.shift();
  model.whole = model.here.size ? blocks.shift() : null;
  model.cache = new Map(made ? [[nameOf(made.layer, made), decode(blocks[0], 0)]] : []);
  model.paired = model.segment.some((which, token) => which && !model.special[token]);
}

// Where each head's large codes begin.
function largeStarts({ small, count, side }) {
  const starts = new Uint32Array(count);
  let seen = 0;
  for (let head = 0, i = 0; head < count; head++) {
    starts[head] = seen;
    for (const end = i + side * side; i < end; i++) if (small[i] === SMALL) seen++;
  }
  return starts;
}

// One head's weights, [query, key] row by row.
function decode({ side, small, large, starts }, head) {
  const size = side ** 2;
  const weights = new Float32Array(size);
  let next = starts[head];
  for (let i = 0, at = head * size; i < size; i++, at++) {
    const code = small[at];
    weights[i] = VALUES[code < SMALL ? code : large[next++]];
  }
  return weights;
}

// Whether what a lens shows can be made of the weights that are here: of long texts only those looked at are.
function isHere(model, layer, head, lens) {
  if (model.all || model.cache.has(nameOf(layer, lens))) return true;
  if (lens.weights === "rollout") return false;
  const needed = lens.over === "one" ? [head] : [...Array(model.heads).keys()];
  return needed.every((one) => model.here.has(layer * model.heads + one));
}

// The weights of a head, or null where they are not here.
function weightsOf(model, layer, head) {
  const place = model.here.get(layer * model.heads + head);
  return place === undefined ? null : decode(model.whole, place);
}

// A weight as it is written everywhere: three digits, four below 0.01. Exactly the server's number, rounded. What is not
// `sure`, as it was computed from rounded ones, says so.
function digits(weight, sure = true) {
  if (!sure) return `≈ ${weight.toFixed(2).replace(/^-0\.00$/, "0.00").replace("-", "−")}`;
  return weight < 0.00995 ? weight.toFixed(4) : weight.toFixed(3);
}
