"use strict";
// Batch norm: the steps of one element, its gradient in three parts, the channel's Jacobian.

const { N, C } = data;
byId("what").textContent = `x is ${N}\u00d7${C}: ${N} examples of ${C} channels, in training.`;
const table = (id, caption, onpick) =>
  new Grid(byId(id), { rows: N, columns: C, values: data[id], cell: 54, caption, onpick });
const x = table("x", "x", show);
const xhat = table("xhat", "xhat = (x \u2212 mean) r", show);
const y = table("y", "y = weight xhat + bias", show);
const dy = table("dy", "dy: what arrives", show);
const dx = table("dx", "dx", show);
const touched = new Grid(byId("touched"), { rows: N, columns: N, values: data.touched.slice(0, N * N), cell: 54, caption: "" });

function show(n, c) {
  const at = n * C + c;
  for (const grid of [x, xhat, y, dy, dx]) {
    grid.at = [n, c];
    grid.show([{ row: 0, column: c, rows: N, colour: "--focus", thin: true }, { row: n, column: c, colour: "--backward" }]);
  }
  const f = (name) => short(data[name][c]);
  byId("sum").replaceChildren(
    `mean = ${f("mean")}, var = ${f("var")}, r = 1/\u221a(var + eps) = ${f("r")}. `,
    make("b", { text: `y[${n}, ${c}]` }),
    ` = weight \u00b7 xhat + bias = ${f("weight")}\u00b7${short(data.xhat[at])} + ${f("bias")} = `,
    make("b", { class: "total", text: short(data.y[at]), title: String(data.y[at]) }),
  );
  byId("backward-sum").replaceChildren(
    make("b", { text: `dx[${n}, ${c}]` }),
    ` = weight \u00b7 r \u00b7 (dy \u2212 mean(dy) \u2212 xhat \u00b7 mean(dy \u00b7 xhat)) = ` +
      `${f("weight")}\u00b7${f("r")}\u00b7(${short(data.dy[at])} \u2212 ${f("dy_mean")} \u2212 ${short(data.xhat[at])}\u00b7${f("dyxhat_mean")}) = `,
    make("b", { class: "total", text: short(data.dx[at]), title: String(data.dx[at]) }),
  );
  byId("parameters").textContent =
    `dbias[${c}] = sum of dy = ${f("dbias")}; dweight[${c}] = sum of dy \u00b7 xhat = ${f("dweight")}`;
  touched.values = Array.from({ length: N * N }, (_, i) => data.touched[(Math.floor(i / N) * N + (i % N)) * C + c]);
  touched.scale = Math.max(...touched.values.map(Math.abs), 1e-12);
  touched.caption.textContent = `dy[i, ${c}] / dx[n, ${c}], i down, n across`;
  touched.show([{ row: 0, column: n, rows: N, colour: "--backward" }]);
}
x.pick(0, 0);
