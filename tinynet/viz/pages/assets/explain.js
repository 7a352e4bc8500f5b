"use strict";
// A grid of numbers that can be looked at with the mouse, a finger or the keyboard.

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const grids = [];

/**
 * values: rows * columns numbers. marks: [{row, column, rows, columns, colour, fill}], set later.
 * frame: cells around the values that are zero (padding), drawn hatched.
 */
class Grid {
  constructor(host, { rows, columns, values, caption, frame = 0, picture = false, cell, least = 3, onpick }) {
    Object.assign(this, { rows, columns, values, frame, picture, onpick, least });
    this.marks = [];
    this.known = () => true;
    this.at = [0, 0];
    const finite = values.filter((v) => typeof v === "number").map(Math.abs);
    this.scale = finite.reduce((a, b) => Math.max(a, b), 1e-12);
    this.wanted = cell;
    this.caption = make("figcaption", { text: caption });
    this.canvas = make("canvas", { tabindex: onpick ? 0 : null, role: onpick ? "application" : "img", "aria-label": caption,
      "aria-roledescription": onpick ? "grid of numbers, arrow keys move" : null });
    this.host = host;
    host.append(this.caption, this.canvas);
    if (onpick) this.listen();
    grids.push(this);
    this.draw();
  }

  get tall() { return this.rows + 2 * this.frame; }
  get wide() { return this.columns + 2 * this.frame; }

  listen() {
    const find = (event) => {
      const box = this.canvas.getBoundingClientRect();
      const column = Math.floor(((event.clientX - box.left) / box.width) * this.wide) - this.frame;
      const row = Math.floor(((event.clientY - box.top) / box.height) * this.tall) - this.frame;
      if (row >= 0 && column >= 0 && row < this.rows && column < this.columns) this.pick(row, column);
    };
    this.canvas.addEventListener("pointerdown", find);
    this.canvas.addEventListener("pointermove", (event) => event.pointerType === "mouse" && find(event));
    this.canvas.addEventListener("keydown", (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      event.stopPropagation();
      const row = Math.min(Math.max(this.at[0] + move[0], 0), this.rows - 1);
      const column = Math.min(Math.max(this.at[1] + move[1], 0), this.columns - 1);
      this.pick(row, column);
    });
  }

  pick(row, column) {
    if (this.at[0] === row && this.at[1] === column && this.picked) return;
    this.picked = true;
    this.at = [row, column];
    this.onpick(row, column);
  }

  show(marks, known) {
    this.marks = marks;
    if (known) this.known = known;
    this.draw();
  }

  draw() {
    const room = this.host.closest("section").clientWidth - 48;
    const size = Math.max(Math.min(this.wanted, Math.floor(room / this.wide)), this.least);
    const density = window.devicePixelRatio || 1;
    const { canvas } = this;
    canvas.width = this.wide * size * density;
    canvas.height = this.tall * size * density;
    canvas.style.width = `${this.wide * size}px`;
    canvas.style.aspectRatio = `${this.wide} / ${this.tall}`;
    const pen = canvas.getContext("2d");
    pen.scale(density, density);
    pen.fillStyle = ink("--wash");
    pen.fillRect(0, 0, this.wide * size, this.tall * size);
    const gap = size > 8 ? 1 : 0;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.font = `${Math.min(size * 0.3, 12)}px ${ink("--code")}`;
    for (let r = 0; r < this.rows; r += 1) {
      for (let c = 0; c < this.columns; c += 1) {
        const value = this.values[r * this.columns + c];
        const [left, top] = [(c + this.frame) * size, (r + this.frame) * size];
        pen.fillStyle = ink("--card");
        pen.fillRect(left, top, size - gap, size - gap);
        if (!this.known(r, c)) continue;
        const grey = Math.round(20 + 235 * value);
        pen.fillStyle = this.picture ? `rgb(${grey} ${grey} ${grey})` : shade(value / this.scale);
        pen.fillRect(left, top, size - gap, size - gap);
        if (size >= 30) {
          pen.fillStyle = this.picture ? (grey > 140 ? "#111" : "#eee") : ink("--ink");
          pen.fillText(brief(value), left + size / 2, top + size / 2);
        }
      }
    }
    for (const { row, column, rows = 1, columns = 1, colour, thin } of this.marks) {
      pen.strokeStyle = ink(colour);
      pen.lineWidth = thin ? 1.5 : Math.max(2, size / 12);
      const inset = pen.lineWidth / 2;
      pen.strokeRect((column + this.frame) * size + inset, (row + this.frame) * size + inset,
        columns * size - gap - 2 * inset, rows * size - gap - 2 * inset);
    }
  }
}

const brief = (value) => short(typeof value === "number" ? Number(value.toFixed(2)) : value);
const redraw = () => grids.forEach((grid) => grid.draw());
window.addEventListener("resize", redraw);
dark.addEventListener("change", redraw);

/** A sum written out: a * b + c * d + ... = total; long ones are cut in the middle. */
function writeSum(host, left, products, total, more = 16) {
  const written = products.map(([a, b]) => `${short(a)}\u00b7${short(b)}`);
  const cutOff = written.length > more;
  const text = cutOff ? [...written.slice(0, more - 2), `\u2026 (${written.length} products)`, written.at(-1)] : written;
  host.replaceChildren(
    make("b", { text: left }), ` = ${text.join(" + ") || "0"} = `,
    make("b", { text: short(total), class: "total", title: String(total) }),
  );
}

/** A slider over outputs with buttons; the arrow keys work on the whole page. */
function positions(count, show) {
  const slider = byId("slider");
  slider.max = count - 1;
  const go = (to) => {
    slider.value = String(Math.min(Math.max(to, 0), count - 1));
    show(Number(slider.value));
  };
  slider.addEventListener("input", () => show(Number(slider.value)));
  byId("back").addEventListener("click", () => go(Number(slider.value) - 1));
  byId("next").addEventListener("click", () => go(Number(slider.value) + 1));
  let playing = null;
  const play = (on) => {
    clearInterval(playing);
    playing = on ? setInterval(() => (Number(slider.value) + 1 < count ? go(Number(slider.value) + 1) : play(false)), 250) : null;
    byId("play").textContent = on ? "Pause" : "Play";
    byId("play").setAttribute("aria-pressed", String(on));
  };
  byId("play").addEventListener("click", () => {
    if (playing === null && Number(slider.value) + 1 >= count) go(0);
    play(playing === null);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = { ArrowRight: 1, ArrowLeft: -1 };
    if (keys[event.key]) {
      event.preventDefault();
      go(Number(slider.value) + keys[event.key]);
    }
  });
  return go;
}
