"use strict";
// Broadcasting: z = x * y.

const plane2 = (shape) => [shape.length > 1 ? shape[shape.length - 2] : 1, shape.length ? shape[shape.length - 1] : 1];
const [P, Q] = plane2(data.z_shape);
const operands = { x: plane2(data.x_shape), y: plane2(data.y_shape) };
/** The operand's element that output (p, q) uses. */
const used = (name, p, q) => [operands[name][0] === 1 ? 0 : p, operands[name][1] === 1 ? 0 : q];
const of = (name, [r, c]) => data[name][r * operands[name.at(-1)][1] + c];

byId("what").textContent = `z = x * y: x is ${sizes(data.x_shape)}, y is ${sizes(data.y_shape)}, z is ${sizes(data.z_shape)}.`;
const length = data.z_shape.length;
for (const name of ["x", "y", "z"]) {
  const shape = data[`${name}_shape`];
  const cells = Array.from({ length }, (_, i) => {
    const size = shape[i - (length - shape.length)];
    const repeated = size !== data.z_shape[i];
    return make("td", { class: repeated ? "backward" : null,
      text: size === undefined ? `none, used ${data.z_shape[i]} times` : repeated ? `${size}, used ${data.z_shape[i]} times` : size });
  });
  byId("shapes").append(make("tr", {}, make("th", { scope: "row", text: name }), ...cells));
}

const table = (id, [rows, columns], caption, onpick) =>
  new Grid(byId(id), { rows, columns, values: data[id], cell: 48, caption, onpick });
const x = table("x", operands.x, `x, ${sizes(data.x_shape)}`);
const y = table("y", operands.y, `y, ${sizes(data.y_shape)}`);
const z = table("z", [P, Q], `z = x * y, ${sizes(data.z_shape)}`, (p, q) => {
  const [a, b] = [used("x", p, q), used("y", p, q)];
  z.show([{ row: p, column: q, colour: "--forward" }]);
  x.show([{ row: a[0], column: a[1], colour: "--forward" }]);
  y.show([{ row: b[0], column: b[1], colour: "--forward" }]);
  writeSum(byId("sum"), `z[${p}, ${q}]`, [[of("x", a), of("y", b)]], data.z[p * Q + q]);
});

const dx = table("dx", operands.x, `dx, ${sizes(data.x_shape)}`, (r, c) => collect("x", "y", r, c));
const dy = table("dy", operands.y, `dy, ${sizes(data.y_shape)}`, (r, c) => collect("y", "x", r, c));
const dz = table("dz", [P, Q], `dz: what arrives, ${sizes(data.z_shape)}`);
function collect(name, other, r, c) {
  const products = [];
  const outputs = [];
  for (let p = 0; p < P; p += 1) {
    for (let q = 0; q < Q; q += 1) {
      const [a, b] = used(name, p, q);
      if (a !== r || b !== c) continue;
      products.push([data.dz[p * Q + q], of(other, used(other, p, q))]);
      outputs.push({ row: p, column: q, colour: "--backward", thin: true });
    }
  }
  (name === "x" ? dx : dy).show([{ row: r, column: c, colour: "--backward" }]);
  (name === "x" ? dy : dx).show([]);
  dz.show(outputs);
  writeSum(byId("backward-sum"), `d${name}[${r}, ${c}]: dz times the ${other} beside it, summed over the ${products.length} outputs that used it`,
    products, of(`d${name}`, [r, c]));
}
z.pick(P - 1, Q - 1);
dx.pick(0, 0);
