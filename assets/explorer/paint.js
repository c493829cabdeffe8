// Colours, and the pens that draw the same picture onto a canvas or into an SVG file.

const SIDE = { a: [0, 114, 178], b: [213, 94, 0] }; // Okabe and Ito: left blue, right vermilion, as everywhere
const IN_DARK = { ...SIDE, a: [37, 131, 196] }; // on a dark ground the blue is as clear as the vermilion
const APART = ["#009E73", "#CC79A7", "#E69F00", "#56B4E9"]; // further heads of a side; a last one has the text's colour
const FONT = '11px "Source Sans", system-ui, sans-serif';

// The page's own colours, light or dark. `host` is any element on the page.
function themeOf(host) {
  const style = getComputedStyle(host);
  return inked(channels(style.backgroundColor), channels(style.color));
}

function inked(paper, text) {
  const lines = { faint: css(mixed(paper, text, 0.55)), line: css(mixed(paper, text, 0.2)) };
  return { paper, text, ...lines, side: isDark(paper) ? IN_DARK : SIDE, font: FONT, sharp: devicePixelRatio };
}

function isDark([red, green, blue]) {
  return red + green + blue < 384;
}

function channels(colour) {
  return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
}

function mixed(from, to, share) {
  return from.map((channel, i) => Math.round(channel + (to[i] - channel) * share));
}

function css([red, green, blue]) {
  return `rgb(${red},${green},${blue})`;
}

const ON_PAPER = { ...inked([255, 255, 255], [28, 30, 36]), sharp: 3 }; // printed: as sharp as its letters

// 256 colours from the paper to a colour.
function rampTo(paper, colour) {
  return Array.from({ length: 256 }, (_, step) => mixed(paper, colour, step / 255));
}

// A weight's step on a ramp: it grows with the root, so that small weights show.
function shade(weight) {
  return Math.round(255 * Math.sqrt(Math.min(1, Math.max(0, weight))));
}

// Colours of a matrix of weights, one cell a pixel, as an image.
function image(values, width, colourOf) {
  const picture = new ImageData(width, values.length / width);
  for (let i = 0; i < values.length; i++) {
    const colour = colourOf(values[i]);
    picture.data[4 * i] = colour[0];
    picture.data[4 * i + 1] = colour[1];
    picture.data[4 * i + 2] = colour[2];
    picture.data[4 * i + 3] = 255;
  }
  return picture;
}

// The largest weight of each block, where a matrix has more cells than there are pixels.
function shrink(values, rows, columns, most) {
  const height = Math.min(rows, most);
  const width = Math.min(columns, most);
  if (height === rows && width === columns) return { values, width };
  const small = new Float32Array(height * width);
  const [blocksDown, blocksAcross] = [blocks(rows, height), blocks(columns, width)];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const cell = blocksDown[row] * width + blocksAcross[column];
      const value = values[row * columns + column];
      if (value > small[cell]) small[cell] = value;
    }
  }
  return { values: small, width };
}

// Which of some blocks, as even as can be, each place of a line lies in.
function blocks(places, count) {
  return Uint16Array.from({ length: places }, (_, place) => Math.floor(((place + 1) * count - 1) / places));
}

const blotter = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }); // a new one takes long

function blit(pen, picture, x, y, width, height) {
  const sheet = blotter.canvas;
  if (sheet.width !== picture.width || sheet.height !== picture.height) Object.assign(sheet, { width: picture.width, height: picture.height });
  blotter.putImageData(picture, 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(sheet, x, y, width, height);
}

// Set a canvas to a size in CSS pixels, sharp on any screen, and return its pen.
function sheetOf(canvas, width, height, sharp) {
  const [w, h] = [Math.round(width * sharp), Math.round(height * sharp)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
    if (canvas.style) Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(sharp, 0, 0, sharp, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

// Pixels that words take, in letters of a size.
function widthOf(words, size) {
  blotter.font = FONT.replace(/^[\d.]+px/, `${size}px`);
  return blotter.measureText(words).width;
}

class CanvasPen {
  constructor(context, theme) {
    Object.assign(this, { context, font: theme.font });
    context.textBaseline = "middle";
  }

  cells(values, columns, colourOf, x, y, width, height) {
    blit(this.context, image(values, columns, colourOf), x, y, width, height);
  }

  text(words, x, y, { align = "left", colour, turn = 0, size = 11 }) {
    if (size !== this.size) this.context.font = this.font.replace(/^[\d.]+px/, `${size}px`); // setting it takes long
    this.size = size;
    this.context.textAlign = align;
    this.context.fillStyle = colour;
    if (!turn) return this.context.fillText(words, x, y);
    this.context.save();
    this.context.translate(x, y);
    this.context.rotate((turn * Math.PI) / 180);
    this.context.fillText(words, 0, 0);
    this.context.restore();
  }

  lines(ends, colour, opacity) {
    this.context.save();
    this.context.globalAlpha = opacity;
    this.context.strokeStyle = colour;
    this.context.lineWidth = 1.5;
    this.context.beginPath();
    for (const [x1, y1, x2, y2] of ends) {
      this.context.moveTo(x1, y1);
      this.context.lineTo(x2, y2);
    }
    this.context.stroke();
    this.context.restore();
  }
}

const MOST_CELLS = 16_384; // of a map in an SVG file; larger ones stand in it as an image, which every program can open

function pngOf(picture) {
  const canvas = element("canvas", { width: picture.width, height: picture.height });
  canvas.getContext("2d").putImageData(picture, 0, 0);
  return canvas.toDataURL();
}

class SvgPen {
  constructor(width, height, theme) {
    this.size = [width, height];
    this.theme = theme;
    this.parts = [];
    this.at = [0, 0];
  }

  cells(values, columns, colourOf, x, y, width, height) {
    if (values.length > MOST_CELLS) {
      const place = `x="${r(x)}" y="${r(y)}" width="${r(width)}" height="${r(height)}"`;
      this.parts.push(`<image ${place} preserveAspectRatio="none" image-rendering="pixelated" href="${pngOf(image(values, columns, colourOf))}"/>`);
      return;
    }
    const [w, h] = [width / columns, height / (values.length / columns)];
    values.forEach((value, i) => {
      const colour = css(colourOf(value));
      if (colour === css(this.theme.paper)) return;
      const [left, top] = [x + (i % columns) * w, y + Math.floor(i / columns) * h];
      this.parts.push(`<rect x="${r(left)}" y="${r(top)}" width="${r(w + 0.05)}" height="${r(h + 0.05)}" fill="${colour}"/>`);
    });
  }

  text(words, x, y, { align = "left", colour, turn = 0, size = 11 }) {
    const anchor = { left: "start", center: "middle", right: "end" }[align];
    const place = turn ? `transform="translate(${r(x)} ${r(y)}) rotate(${turn})"` : `x="${r(x)}" y="${r(y)}"`;
    this.parts.push(
      `<text ${place} font-size="${size}" text-anchor="${anchor}" dominant-baseline="central" fill="${colour}">${xml(words)}</text>`,
    );
  }

  lines(ends, colour, opacity) {
    const path = ends.map(([x1, y1, x2, y2]) => `M${r(x1)} ${r(y1)}L${r(x2)} ${r(y2)}`).join("");
    this.parts.push(`<path d="${path}" stroke="${colour}" stroke-width="1.5" stroke-opacity="${r(opacity)}" fill="none"/>`);
  }

  group(x, y) {
    this.parts.push(`${this.open ? "</g>" : ""}<g transform="translate(${r(x)} ${r(y)})">`);
    this.open = true;
  }

  toString() {
    const [width, height] = this.size;
    return (
      `<svg xmlns="http://www.w3.org/2000/svg" width="${r(width)}" height="${r(height)}" ` +
      `viewBox="0 0 ${r(width)} ${r(height)}" font-family="Source Sans, system-ui, sans-serif">` +
      `<rect width="100%" height="100%" fill="${css(this.theme.paper)}"/>${this.parts.join("")}${this.open ? "</g>" : ""}</svg>`
    );
  }
}

function r(number) {
  return Number(number.toFixed(2));
}

function xml(words) {
  return words.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
