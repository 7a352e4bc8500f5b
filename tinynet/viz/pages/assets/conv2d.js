"use strict";
// Convolution: forward as a window and as a product, the algorithms, backward.

const { H, W, K, R, S, P, Q, stride, padding, dilation } = data;
let k = 0; // the filter that is shown
const per = (values, size, i) => values.slice(i * size, (i + 1) * size);
const pixel = (h, w) => (h < 0 || w < 0 || h >= H || w >= W ? 0 : data.x[h * W + w]);
const under = (p, q, r, s) => [p * stride + r * dilation - padding, q * stride + s * dilation - padding];
const weight = (r, s) => data.w[(k * R + r) * S + s];

byId("what").textContent =
  `x is ${H}\u00d7${W}, ${K} filter${K > 1 ? "s" : ""} of ${R}\u00d7${S}, stride ${stride}, padding ${padding}, dilation ${dilation}: y is ${P}\u00d7${Q}.`;
const choice = byId("filter");
data.filters.forEach((name, i) => choice.append(make("option", { value: i, text: name })));

const x = new Grid(byId("x"), { rows: H, columns: W, values: data.x, frame: padding, picture: true, cell: 26,
  caption: padding ? `x, ${H}\u00d7${W}, with ${padding} of padding` : `x, ${H}\u00d7${W}` });
const w = new Grid(byId("w"), { rows: R, columns: S, values: per(data.w, R * S, 0), cell: 40, caption: `w, ${R}\u00d7${S}` });
const y = new Grid(byId("y"), { rows: P, columns: Q, values: per(data.y, P * Q, 0), cell: 30, caption: `y, ${P}\u00d7${Q}`,
  onpick: (p, q) => go(p * Q + q) });
const columns = new Grid(byId("columns"), { rows: R * S, columns: P * Q, values: data.columns, cell: 12, least: 6,
  caption: `columns, ${R * S}\u00d7${P * Q}: a window in each`, onpick: (_, at) => go(at) });
const rows = new Grid(byId("rows"), { rows: K, columns: R * S, values: data.w, cell: 22, caption: `w as ${K} row${K > 1 ? "s" : ""} of ${R * S}` });
const product = new Grid(byId("product"), { rows: K, columns: P * Q, values: data.y, cell: 12, least: 6,
  caption: `w @ columns = y, ${K}\u00d7${P * Q}`, onpick: (_, at) => go(at) });
byId("memory").textContent =
  `The image has ${H * W} numbers, the columns have ${R * S * P * Q}: ${short((R * S * P * Q) / (H * W))} times as many.`;

const go = positions(P * Q, (at) => showOutput(at));
function showOutput(at) {
  const [p, q] = [Math.floor(at / Q), at % Q];
  y.at = [p, q];
  columns.at = [columns.at[0], at];
  product.at = [product.at[0], at];
  const products = [];
  const touched = [];
  for (let r = 0; r < R; r += 1) {
    for (let s = 0; s < S; s += 1) {
      const [h, v] = under(p, q, r, s);
      products.push([weight(r, s), pixel(h, v)]);
      touched.push({ row: h, column: v, colour: "--backward", thin: true });
    }
  }
  const [top, left] = under(p, q, 0, 0);
  const spanned = { row: top, column: left, rows: (R - 1) * dilation + 1, columns: (S - 1) * dilation + 1, colour: "--backward" };
  x.show(dilation > 1 ? touched : [spanned]);
  y.show([{ row: p, column: q, colour: "--forward" }], (r, c) => r * Q + c <= at);
  columns.show([{ row: 0, column: at, rows: R * S, colour: "--backward" }], (_, c) => c <= at);
  rows.show([{ row: k, column: 0, columns: R * S, colour: "--forward" }]);
  product.show([{ row: k, column: at, colour: "--forward" }], (_, c) => c <= at);
  writeSum(byId("sum"), `y[${k}, ${p}, ${q}]`, products, data.y[(k * P + p) * Q + q]);
  byId("slider").setAttribute("aria-valuetext", `output ${p}, ${q}`);
}

// algorithms
const table = byId("algorithms");
const most = [0, 1].map((i) => Math.max(...data.algorithms.map((a) => a.multiplications?.[i] ?? 0)));
table.append(make("thead", {}, make("tr", {},
  ...["algorithm", "multiplications here", "with 64 channels in and out", "extra memory", "error"].map((text, i) =>
    make("th", { text, scope: "col", class: i ? "count" : null })))));
for (const a of data.algorithms) {
  const row = make("tr", { "data-algorithm": a.name });
  row.append(make("th", { scope: "row" }, a.name, a.variant ? ` ${a.variant} ` : " ",
    a.chosen ? make("span", { class: "badge", text: "chosen by auto" }) : null,
    make("div", { class: "quiet", text: a.about, style: "font-weight: 400" })));
  if (a.refusal) row.append(make("td", { colspan: 4, class: "quiet", text: `does not apply: ${a.refusal}` }));
  else {
    const counts = a.multiplications.map((count, i) => {
      const bar = make("div", { class: "bar-of" });
      bar.style.width = `${Math.max((count / most[i]) * 100, 1)}px`;
      return make("td", { class: "count" }, count.toLocaleString("en"), bar);
    });
    row.append(...counts,
      make("td", { class: "count", text: a.workspace ? bytes(a.workspace) : "none" }),
      make("td", { class: "count", text: short(a.error) }));
  }
  table.append(row);
}

// backward
const dx = new Grid(byId("dx"), { rows: H, columns: W, values: data.dx, frame: padding, cell: 26, caption: `dx, ${H}\u00d7${W}`,
  onpick: showPixel });
const dw = new Grid(byId("dw"), { rows: R, columns: S, values: per(data.dw, R * S, 0), cell: 40, caption: `dw, ${R}\u00d7${S}`,
  onpick: showWeight });
const dy = new Grid(byId("dy"), { rows: P, columns: Q, values: per(data.dy, P * Q, 0), cell: 30, caption: `dy, ${P}\u00d7${Q}` });

/** dx[h, v]: every filter position that met this pixel, for every filter. */
function showPixel(h, v) {
  const products = [];
  const outputs = [];
  const weights = [];
  for (let f = 0; f < K; f += 1) {
    for (let r = 0; r < R; r += 1) {
      for (let s = 0; s < S; s += 1) {
        const [p, q] = [(h + padding - r * dilation) / stride, (v + padding - s * dilation) / stride];
        if (!Number.isInteger(p) || !Number.isInteger(q) || p < 0 || q < 0 || p >= P || q >= Q) continue;
        products.push([data.w[(f * R + r) * S + s], data.dy[(f * P + p) * Q + q]]);
        if (f === k) {
          outputs.push({ row: p, column: q, colour: "--backward", thin: true });
          weights.push({ row: r, column: s, colour: "--backward", thin: true });
        }
      }
    }
  }
  dx.show([{ row: h, column: v, colour: "--backward" }]);
  dy.show(outputs);
  dw.show(weights);
  writeSum(byId("backward-sum"), `dx[${h}, ${v}], from the ${outputs.length} outputs that touch it in each of ${K} filter${K > 1 ? "s" : ""},`,
    products, data.dx[h * W + v]);
}

/** dw[r, s]: this weight met a pixel at every output. */
function showWeight(r, s) {
  const products = [];
  const met = [];
  for (let p = 0; p < P; p += 1) {
    for (let q = 0; q < Q; q += 1) {
      const [h, v] = under(p, q, r, s);
      products.push([pixel(h, v), data.dy[(k * P + p) * Q + q]]);
      met.push({ row: h, column: v, colour: "--backward", thin: true });
    }
  }
  dw.show([{ row: r, column: s, colour: "--backward" }]);
  dx.show(met);
  dy.show([{ row: 0, column: 0, rows: P, columns: Q, colour: "--backward" }]);
  writeSum(byId("backward-sum"), `dw[${k}, ${r}, ${s}], a product for each output,`, products, data.dw[(k * R + r) * S + s]);
}

choice.addEventListener("change", () => {
  k = Number(choice.value);
  w.values = per(data.w, R * S, k);
  y.values = per(data.y, P * Q, k);
  dw.values = per(data.dw, R * S, k);
  dy.values = per(data.dy, P * Q, k);
  showOutput(Number(byId("slider").value));
  dx.picked = dw.picked = false;
  showPixel(...dx.at);
});
go(Math.floor(P / 2) * Q + Math.floor(Q / 2));
dx.pick(Math.floor(H / 2), Math.floor(W / 2));
