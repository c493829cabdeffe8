// What is shown, to take away: PNG at twice the size, SVG, CSV of the numbers, and the whole explorer as one HTML file.

function give(name, kind, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type: kind }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function csvOf(shown) {
  const cell = (value) => `"${String(value).replaceAll('"', '""')}"`;
  const lines = ["model,layer,head,lens,from,from token,to,to token,weight,exactly"];
  const number = (weight, sure) => (sure ? digits(weight) : weight.toFixed(4).replace(/^-0\.0000$/, "0.0000"));
  for (const { model, layer, head, lens, matrix } of shown) {
    matrix.values.forEach((weight, i) => {
      const [row, column] = [Math.floor(i / matrix.columns.length), i % matrix.columns.length];
      const [from, to] = [matrix.rows[row], matrix.columns[column]];
      const numbers = [from.tokens[0] + 1, cell(from.label), to.tokens[0] + 1, cell(to.label)];
      const told = matrix.left?.[i] ? ["", ""] : [number(weight, matrix.sure), matrix.sure]; // of what Top share leaves out, nothing
      lines.push([cell(model), layer, head, cell(lens), ...numbers, ...told].join(","));
    });
  }
  return `\ufeff${lines.join("\r\n")}\r\n`;
}

// A page that holds this very program, its style and its data, and asks nobody for anything. No text in the program may
// end its script element.
function pageOf(program, style, bytes, choice, { paper, text }) {
  let binary = "";
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  const colours = { "background-color": paper, "text-color": text, "secondary-background-color": mixed(paper, text, 0.08) };
  const theme = Object.entries(colours).map(([name, colour]) => `--st-${name}:${css(colour)}`);
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Encoder Lens: attention</title>
<meta name="viewport" content="width=device-width"><style>body{background:${css(paper)};margin:1rem auto;max-width:1200px;color-scheme:${isDark(paper) ? "dark" : "light"};${theme.join(";")}}${style}</style></head>
<body><div id="here"></div><script>
const start = ${program.replaceAll("</", "<\\/")};
const bytes = Uint8Array.from(atob("${btoa(binary)}"), (sign) => sign.charCodeAt(0));
start(document.getElementById("here")).show(bytes, ${JSON.stringify(choice).replaceAll("<", "\\u003c")});
</script></body></html>`;
}
