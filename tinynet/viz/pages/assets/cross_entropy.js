"use strict";
// Softmax with cross-entropy: one row at a time.

const { N, C } = data;
byId("what").textContent = `logits are ${N}\u00d7${C}: ${N} examples, ${C} classes.`;
const table = (id, caption) =>
  new Grid(byId(id), { rows: N, columns: C, values: data[id], cell: 54, caption, onpick: show });
const grids4 = [
  table("logits", "logits"),
  table("exp", "exp(logit \u2212 largest)"),
  table("p", "p = softmax: a row adds up to 1"),
  table("dlogits", "dlogits = (p \u2212 onehot) / N"),
];
const truth = data.target.map((c, n) => ({ row: n, column: c, colour: "--forward", thin: true }));
byId("losses").textContent =
  `losses ${data.losses.map(short).join(", ")}; their mean is the loss, ${short(data.loss[0])}`;

function show(n, c) {
  const at = n * C + c;
  for (const grid of grids4) {
    grid.at = [n, c];
    grid.show([...truth, { row: n, column: c, colour: "--backward" }]);
  }
  const row = data.exp.slice(n * C, (n + 1) * C);
  const target = data.target[n];
  byId("sum").replaceChildren(
    make("b", { text: `p[${n}, ${c}]` }),
    ` = ${short(data.exp[at])} / (${row.map(short).join(" + ")}) = `,
    make("b", { class: "total", text: short(data.p[at]), title: String(data.p[at]) }),
    `; loss[${n}] = \u2212log p[${n}, ${target}] = \u2212log ${short(data.p[n * C + target])} = ${short(data.losses[n])}`,
  );
  byId("backward-sum").replaceChildren(
    make("b", { text: `dlogits[${n}, ${c}]` }),
    ` = (${short(data.p[at])}${c === target ? " \u2212 1" : ""}) / ${N} = `,
    make("b", { class: "total", text: short(data.dlogits[at]), title: String(data.dlogits[at]) }),
  );
}
grids4[0].pick(0, data.target[0]);
