"use strict";
// Max pooling: which pixel wins a window, and the way of its gradient.

const { H, W, P, Q, kernel, stride, padding, dilation } = data;
const place = (flat) => [Math.floor(flat / W), flat % W];
const window_ = (p, q) => {
  const cells = [];
  for (let r = 0; r < kernel; r += 1) {
    for (let s = 0; s < kernel; s += 1) {
      const [h, v] = [p * stride + r * dilation - padding, q * stride + s * dilation - padding];
      cells.push({ row: h, column: v, inside: h >= 0 && v >= 0 && h < H && v < W });
    }
  }
  return cells;
};
byId("what").textContent =
  `x is ${H}\u00d7${W}, windows of ${kernel}\u00d7${kernel}, stride ${stride}, padding ${padding}, dilation ${dilation}: y is ${P}\u00d7${Q}.`;

const x = new Grid(byId("x"), { rows: H, columns: W, values: data.x, frame: padding, picture: true, cell: 34, caption: `x, ${H}\u00d7${W}` });
const y = new Grid(byId("y"), { rows: P, columns: Q, values: data.y, picture: true, cell: 34, caption: `y, ${P}\u00d7${Q}`,
  onpick: (p, q) => go(p * Q + q) });
const go = positions(P * Q, (at) => {
  const [p, q] = [Math.floor(at / Q), at % Q];
  y.at = [p, q];
  const cells = window_(p, q);
  const [row, column] = place(data.winners[at]);
  x.show([...cells.map((cell) => ({ ...cell, colour: "--focus", thin: true })), { row, column, colour: "--backward" }]);
  y.show([{ row: p, column: q, colour: "--forward" }], (r, c) => r * Q + c <= at);
  const values = cells.map((cell) => (cell.inside ? short(data.x[cell.row * W + cell.column]) : "\u2212\u221e"));
  byId("sum").replaceChildren(make("b", { text: `y[${p}, ${q}]` }), ` = max(${values.join(", ")}) = `,
    make("b", { text: short(data.y[at]), class: "total", title: String(data.y[at]) }), `, from x[${row}, ${column}]`);
  byId("slider").setAttribute("aria-valuetext", `output ${p}, ${q}`);
});

const dx = new Grid(byId("dx"), { rows: H, columns: W, values: data.dx, frame: padding, cell: 34, caption: `dx, ${H}\u00d7${W}`,
  onpick: showPixel });
const dy = new Grid(byId("dy"), { rows: P, columns: Q, values: data.dy, cell: 34, caption: `dy, ${P}\u00d7${Q}`,
  onpick: (p, q) => showPixel(...place(data.winners[p * Q + q])) });

/** dx[h, v] is the sum of the gradients of the windows that this pixel won. */
function showPixel(h, v) {
  const won = data.winners.flatMap((winner, at) => (winner === h * W + v ? [at] : []));
  dx.at = [h, v];
  dx.show([{ row: h, column: v, colour: "--backward" }]);
  dy.show(won.map((at) => ({ row: Math.floor(at / Q), column: at % Q, colour: "--backward" })));
  const total = data.dx[h * W + v];
  const terms = won.map((at) => `dy[${Math.floor(at / Q)}, ${at % Q}] = ${short(data.dy[at])}`);
  byId("backward-sum").replaceChildren(make("b", { text: `dx[${h}, ${v}]` }),
    won.length ? ` = the sum of ${terms.join(", ")} = ` : " won no window: ",
    make("b", { text: short(total), class: "total", title: String(total) }));
}
const winners = new Set(data.winners).size;
byId("count").textContent = `${winners} of ${H * W} pixels get a gradient; each of the ${P * Q} windows sends one.`;
go(Math.floor(P / 2) * Q + Math.floor(Q / 2));
showPixel(...place(data.winners[Math.floor(P / 2) * Q + Math.floor(Q / 2)]));
