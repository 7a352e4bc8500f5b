"use strict";
// What all pages share: making elements, writing numbers, colouring them.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** An element with attributes ("text" is its content) and children. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** The same for SVG. */
function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** A number in about four digits; words ("nan", "inf") stay words. */
function short(value) {
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(2).replace("e+", "e").replaceAll("-", "\u2212");
  return String(Number(value.toPrecision(4))).replace("-", "\u2212");
}



function bytes(count) {
  if (count < 1000) return `${count} bytes`;
  const units = ["kB", "MB", "GB"];
  let value = count;
  let unit = -1;
  while (value >= 1000 && unit < 2) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toPrecision(3)} ${units[unit]}`;
}

const sizes = (shape) => (shape.length ? shape.join("\u00d7") : "a number");

/** Colours on both sides of 0: blue below, red above, the paper's own at 0. */
const dark = window.matchMedia("(prefers-color-scheme: dark)");
function shade(share) {
  const [r, g, b] = share < 0 ? [58, 110, 190] : [196, 78, 52];
  return `rgb(${r} ${g} ${b} / ${Math.min(1, Math.abs(share)) ** 0.8 * 0.85})`;
}

/** [rows, columns, share of the largest magnitude at (row, column)] of what is known. */
function plane(array) {
  if (array.values) {
    const shape = array.shape;
    const columns = shape.length ? shape[shape.length - 1] : 1;
    const rows = columns ? array.values.length / columns : 0;
    const finite = array.values.filter((v) => typeof v === "number");
    const scale = Math.max(...finite.map(Math.abs), 1e-300);
    return [rows, columns, (r, c) => array.values[r * columns + c] / scale];
  }
  const raw = atob(array.picture.steps);
  const { rows, columns } = array.picture;
  return [rows, columns, (r, c) => (raw.charCodeAt(r * columns + c) - 128) / 127];
}

/** A canvas with one small square per number. */
function thumbnail(array, side) {
  const [rows, columns, at] = plane(array);
  const canvas = make("canvas", { width: Math.max(columns, 1), height: Math.max(rows, 1) });
  const pen = canvas.getContext("2d");
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--card");
  pen.fillRect(0, 0, canvas.width, canvas.height);
  for (let r = 0; r < rows; r += 1) {
    for (let c = 0; c < columns; c += 1) {
      pen.fillStyle = shade(at(r, c));
      pen.fillRect(c, r, 1, 1);
    }
  }
  const scale = side / Math.max(rows, columns, 1);
  canvas.style.width = `${Math.max(columns * scale, 3)}px`;
  canvas.style.height = `${Math.max(rows * scale, 3)}px`;
  return canvas;
}

/** An array as a table of numbers if it is small, else as a picture with its statistics. */
function showNumbers(array, caption) {
  const figure = make("figure", { class: "numbers" });
  figure.append(make("figcaption", { text: `${caption} \u00b7 ${sizes(array.shape)}` }));
  if (array.values && array.values.length) {
    const [rows, columns, at] = plane(array);
    const table = make("table", { "aria-label": caption });
    for (let r = 0; r < rows; r += 1) {
      const row = make("tr");
      for (let c = 0; c < columns; c += 1) {
        const value = array.values[r * columns + c];
        const cell = make("td", { text: short(value), title: String(value) });
        cell.style.background = shade(at(r, c) * 0.6);
        row.append(cell);
      }
      table.append(row);
    }
    figure.append(make("div", { class: "scroll" }, table));
  } else if (array.picture) {
    const drawing = thumbnail(array, 112);
    drawing.setAttribute("role", "img");
    drawing.setAttribute("aria-label", `${caption}: a few rows and columns of the first plane`);
    figure.append(drawing);
    const { norm, mean, minimum, maximum } = array;
    figure.append(
      make("figcaption", {
        text: `norm ${short(norm)}, mean ${short(mean)}, from ${short(minimum)} to ${short(maximum)}`,
        title: `norm ${norm}`,
      }),
    );
  }
  return figure;
}
