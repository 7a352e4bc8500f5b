"use strict";
// The graph in layers (dagre), the replay, and the panel that explains the selected step.

const items = new Map(); // id -> step or leaf
for (const step of data.steps) items.set(step.id, { ...step, visits: [] });
for (const leaf of data.leaves) items.set(leaf.id, { ...leaf, leaf: true, visits: [] });
data.events.forEach((event, i) => {
  const item = items.get(event.at);
  if (event.kind === "forward") item.forwardAt = i;
  else item.visits.push(i);
});
const users = new Map(); // leaf id -> the steps that take it
for (const step of data.steps) {
  for (const input of step.inputs) {
    if (input.origin && items.get(input.origin).leaf) {
      users.set(input.origin, (users.get(input.origin) ?? new Set()).add(step.id));
    }
  }
}

// What leaves nothing on the tape is drawn only where a recorded step needs it (running statistics
// are not). Where nothing is recorded, everything is.
const drawn = new Set();
const needs = data.steps.filter((step) => step.recorded).map((step) => step.id);
if (!needs.length) needs.push(...data.steps.map((step) => step.id));
while (needs.length) {
  const id = needs.pop();
  if (drawn.has(id) || items.get(id).leaf) continue;
  drawn.add(id);
  needs.push(...items.get(id).inputs.map((input) => input.origin).filter(Boolean));
}

// ------------------------------------------------------------------------------------- modules

// A module is drawn as one box until it is opened. A box for a single step would say nothing.
const groups = new Map(); // key -> {key, label, kind, parent, steps}
for (const step of data.steps) {
  let parent = null;
  step.modules.forEach(([path, kind], depth) => {
    const key = step.modules.slice(0, depth + 1).map(([p]) => p).join(" > ");
    if (!groups.has(key)) groups.set(key, { key, label: path, kind, parent, steps: [] });
    if (drawn.has(step.id)) groups.get(key).steps.push(step.id);
    parent = key;
  });
}
const chain = (step) => {
  const keys = step.modules.map((_, d) => step.modules.slice(0, d + 1).map(([p]) => p).join(" > "));
  return keys.filter((key, i) => {
    const here = groups.get(key).steps.length;
    return here > 1 && (i === 0 || groups.get(keys[i - 1]).steps.length > here || i === 0);
  });
};
const chains = new Map(data.steps.map((step) => [step.id, chain(step)]));
const open = new Set();
const AT_FIRST = 26; // boxes that a first look can take in
for (let opened = true; opened; ) {
  opened = false;
  const shut = [...groups.keys()].filter((key) => !open.has(key) && usable(key));
  for (const key of shut) {
    open.add(key);
    if (visible().size > AT_FIRST) open.delete(key);
    else opened = true;
  }
}
function usable(key) {
  return [...chains.values()].some((keys) => keys.includes(key));
}
/** Where a step is drawn: itself, or the outermost module around it that is shut. */
function place(id) {
  const item = items.get(id);
  if (item.leaf) return id;
  return chains.get(id).find((key) => !open.has(key)) ?? id;
}
function visible() {
  return new Set([...drawn].map(place));
}
/** A parameter of one step is named in that step's box; other leaves have a box of their own. */
function ownBox(leaf) {
  const taken = users.get(leaf.id);
  if (!taken) return false;
  if (leaf.module !== null && (taken.size === 1 || !leaf.wanted)) return false;
  if (![...taken].some((id) => drawn.has(id))) return false;
  return leaf.wanted || data.arrays[leaf.array].shape.length > 0;
}
const homeOf = (id) => {
  const item = items.get(id);
  return item.leaf && !ownBox(item) ? place([...(users.get(id) ?? [])][0] ?? id) : place(id);
};

// --------------------------------------------------------------------------------------- graph

const svg = d3.select("#graph");
const view = svg.append("g");
const zoom = d3.zoom().scaleExtent([0.04, 4]).on("zoom", (event) => view.attr("transform", event.transform));
svg.call(zoom).on("dblclick.zoom", null);
const thumbnails = new Map();
let boxes = new Map(); // drawn id -> {element, members}
let edges = []; // {element, from, to, inputs: [[step id, input name, origin id]]}
let extent = { width: 1, height: 1 };
const WIDTH = 214;
const HEIGHT = 50;

function picture(array) {
  if (!thumbnails.has(array)) {
    const given = data.arrays[array];
    const full = given.values ? given.values.length > 0 : Boolean(given.picture);
    thumbnails.set(array, full ? thumbnail(given, 30).toDataURL() : null);
  }
  return thumbnails.get(array);
}

function layOut() {
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: false });
  graph.setGraph({ ranksep: 34, nodesep: 22, edgesep: 12, marginx: 16, marginy: 16 });
  graph.setDefaultEdgeLabel(() => ({}));
  const members = new Map();
  for (const step of data.steps.filter(({ id }) => drawn.has(id))) {
    const at = place(step.id);
    members.set(at, [...(members.get(at) ?? []), step.id]);
  }
  for (const leaf of data.leaves) if (ownBox(leaf)) members.set(leaf.id, [leaf.id]);
  for (const id of members.keys()) graph.setNode(id, { width: WIDTH, height: HEIGHT });
  for (const [id, steps] of members) {
    const around = chains.get(steps[0]) ?? [];
    const inside = around.slice(0, groups.has(id) ? around.indexOf(id) : around.length);
    inside.forEach((key, i) => {
      const cluster = `open:${key}`;
      if (!graph.hasNode(cluster)) graph.setNode(cluster, {});
      if (i > 0) graph.setParent(cluster, `open:${inside[i - 1]}`);
    });
    if (inside.length) graph.setParent(id, `open:${inside[inside.length - 1]}`);
  }
  const links = new Map();
  for (const step of data.steps.filter(({ id }) => drawn.has(id))) {
    const to = place(step.id);
    for (const input of step.inputs) {
      if (!input.origin || !members.has(homeOf(input.origin))) continue;
      const from = homeOf(input.origin);
      if (from === to) continue;
      const key = `${from}\u0000${to}`;
      if (!links.has(key)) links.set(key, { from, to, inputs: [] });
      links.get(key).inputs.push([step.id, input.name, input.origin]);
    }
  }
  for (const { from, to } of links.values()) graph.setEdge(from, to);
  dagre.layout(graph);
  extent = { width: graph.graph().width || 1, height: graph.graph().height || 1 };
  drawGraph(graph, members, [...links.values()]);
}

function drawGraph(graph, members, links) {
  const focused = document.activeElement?.dataset?.id;
  view.selectAll("*").remove();
  const root = view.node();
  const clusters = graph.nodes().filter((id) => id.startsWith("open:"));
  clusters.sort((a, b) => a.length - b.length); // the outer ones first
  for (const id of clusters) {
    const { x, y, width, height } = graph.node(id);
    const group = groups.get(id.slice(5));
    const left = x - width / 2;
    const top = y - height / 2;
    const close = draw(
      "g",
      {
        class: "close", tabindex: 0, role: "button", "data-id": id,
        "aria-label": `Collapse ${group.label}`,
        transform: `translate(${left + 6} ${top - 10})`,
        onclick: () => toggle(group.key, false),
        onkeydown: (event) => pressed(event, () => toggle(group.key, false)),
      },
      draw("rect", { width: Math.min(label(group).length * 6.6 + 26, Math.max(width - 12, 80)), height: 20, rx: 6 }),
      draw("text", { x: 8, y: 14, text: `\u2212 ${label(group)}` }),
    );
    root.append(draw("g", { class: "cluster" }, draw("rect", { x: left, y: top, width, height, rx: 12 }), close));
  }
  edges = links.map((link) => {
    const points = graph.edge(link.from, link.to).points;
    const path = d3.line().curve(d3.curveBasis).x((p) => p.x).y((p) => p.y)(points);
    const element = draw("path", { class: "edge smooth", d: path });
    root.append(element);
    return { element, ...link };
  });
  boxes = new Map();
  for (const [id, inside] of members) {
    const { x, y } = graph.node(id);
    const element = box(id, inside);
    element.setAttribute("transform", `translate(${x - WIDTH / 2} ${y - HEIGHT / 2})`);
    root.append(element);
    boxes.set(id, { element, members: inside, x, y });
  }
  if (focused) root.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
}

const label = (group) => (group.label === group.kind ? group.kind : `${group.label}: ${group.kind}`);
const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}\u2026` : text);

function box(id, inside) {
  const group = groups.get(id);
  const last = items.get(inside[inside.length - 1]);
  const array = last.leaf ? last.array : last.outputs[0];
  const shape = array == null ? "" : sizes(data.arrays[array].shape);
  const title = group ? group.label : last.leaf ? last.name || "constant" : last.operation;
  const below = group
    ? `${group.kind}, ${inside.length} steps`
    : [last.leaf ? "" : last.module ?? last.variable, shape].filter(Boolean).join("  ");
  const act = () => (group ? toggle(id, true) : select(inside[0]));
  const element = draw("g", {
    class: `node smooth ${group ? "group" : last.leaf ? "leaf" : "step"}`,
    tabindex: 0, role: "button", "data-id": id,
    "aria-label": group ? `Open ${label(group)}, ${inside.length} steps` : `${title}, ${below}`,
    onclick: act,
    onkeydown: (event) => pressed(event, act),
  });
  if (group) element.append(draw("rect", { class: "under", x: 4, y: 4, width: WIDTH, height: HEIGHT, rx: 9 }));
  element.append(
    draw("rect", { class: "box smooth", width: WIDTH, height: HEIGHT, rx: 9 }),
    draw("text", { class: "title", x: 10, y: 21, text: cut(title, 14) }),
    draw("text", { class: "sub", x: 10, y: 38, text: cut(below, 20) }),
    draw("title", { text: `${title}\n${below}` }),
    draw("rect", { class: "slot", x: WIDTH - 72, y: 8, width: 30, height: 30, rx: 3 }),
    draw("rect", { class: "slot", x: WIDTH - 37, y: 8, width: 30, height: 30, rx: 3 }),
    draw("image", { class: "value-picture", x: WIDTH - 72, y: 8, width: 30, height: 30, preserveAspectRatio: "none" }),
    draw("image", { class: "gradient-picture", x: WIDTH - 37, y: 8, width: 30, height: 30, preserveAspectRatio: "none" }),
    draw("rect", { class: "mark value-mark", x: WIDTH - 72, y: 41, width: 30, height: 3, rx: 1.5 }),
    draw("rect", { class: "mark gradient-mark", x: WIDTH - 37, y: 41, width: 30, height: 3, rx: 1.5 }),
  );
  return element;
}

function pressed(event, act) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    event.stopPropagation();
    act();
  }
}

function toggle(key, opening) {
  if (opening) open.add(key);
  else open.delete(key);
  layOut();
  show();
  const target = opening ? `open:${key}` : key;
  view.node().querySelector(`[data-id="${CSS.escape(target)}"]`)?.focus({ preventScroll: true });
}

function fit() {
  if (!boxes.size) return;
  const { clientWidth, clientHeight } = svg.node();
  const height = clientHeight - 46; // above the buttons
  const scale = Math.max(Math.min(clientWidth / extent.width, height / extent.height, 1.25), 0.04);
  const left = (clientWidth - extent.width * scale) / 2;
  const top = Math.max((height - extent.height * scale) / 2, 6);
  svg.call(zoom.transform, d3.zoomIdentity.translate(left, top).scale(scale));
}

/** At first: text that can be read, beginning at the top. */
function firstLook() {
  fit();
  const { k } = d3.zoomTransform(svg.node());
  if (k < 0.6) {
    const { clientWidth } = svg.node();
    svg.call(zoom.transform, d3.zoomIdentity.translate((clientWidth - extent.width * 0.75) / 2, 8).scale(0.75));
  }
}

/** Move so that the current box is on the stage. */
function follow(id) {
  const shown = boxes.get(id);
  if (!shown) return;
  const { clientWidth, clientHeight } = svg.node();
  const { x, y, k } = d3.zoomTransform(svg.node());
  const at = [shown.x * k + x, shown.y * k + y];
  const margin = [Math.min(110 * k, clientWidth / 3), Math.min(60 * k + 20, clientHeight / 3)];
  const inside = at.every((v, i) => v > margin[i] && v < [clientWidth, clientHeight][i] - margin[i]);
  if (!inside) svg.call(zoom.translateTo, shown.x, shown.y);
}

// -------------------------------------------------------------------------------------- replay

const slider = byId("slider");
slider.max = Math.max(data.events.length, 1);
let selected = data.events[0]?.at;
let playing = null;
const position = () => Number(slider.value) - 1; // the current event

function go(event) {
  slider.value = String(Math.min(Math.max(event, 0), data.events.length - 1) + 1);
  if (!data.events.length) return;
  selected = data.events[position()].at;
  show();
  follow(homeOf(selected));
}

/** Select an item, and go to the event of it that is nearest to the current one. */
function select(id) {
  const item = items.get(id);
  const own = [item.forwardAt, ...item.visits].filter((v) => v !== undefined);
  selected = id;
  if (own.length && !own.includes(position())) {
    const phase = data.events[position()].kind;
    const same = own.filter((v) => data.events[v].kind === phase);
    const choice = same.length ? same : own;
    slider.value = String(choice.reduce((a, b) => (Math.abs(b - position()) < Math.abs(a - position()) ? b : a)) + 1);
  }
  show();
  byId("detail").scrollTop = 0;
}

function show() {
  const now = position();
  const event = data.events[now];
  if (!event) return;
  const backward = event.kind === "backward";
  const current = homeOf(event.at);
  for (const [id, { element, members }] of boxes) {
    const known = (m) => items.get(m).leaf || items.get(m).early || items.get(m).forwardAt <= now;
    const forward = members.filter(known);
    const visited = members.filter((m) => items.get(m).visits.some((v) => v <= now));
    element.classList.toggle("ahead", forward.length === 0);
    element.classList.toggle("forward-done", forward.length > 0);
    element.classList.toggle("backward-done", visited.length > 0);
    element.classList.toggle("current", id === current);
    element.classList.toggle("in-forward", id === current && !backward);
    element.classList.toggle("in-backward", id === current && backward);
    element.classList.toggle("selected", id === homeOf(selected) && id !== current);
    const newest = items.get(forward[forward.length - 1]);
    setPicture(element, "value", newest && (newest.leaf ? newest.array : newest.outputs[0]));
    const first = visited.length ? items.get(visited[visited.length - 1]) : null;
    const visit = first && data.events[first.visits.filter((v) => v <= now).at(-1)];
    setPicture(element, "gradient", visit?.arrived[0]);
  }
  for (const { element, inputs } of edges) {
    const passed = inputs.some(([step]) => items.get(step).early || items.get(step).forwardAt <= now);
    const sent = inputs.some(([step, name, origin]) =>
      items.get(step).visits.some((v) => v <= now && data.events[v].outgoing.some((c) => c.input === name && c.target === origin)));
    const active = inputs.some(([step]) => step === event.at);
    element.setAttribute("class", `edge smooth${passed ? " forward-done" : ""}${sent ? " backward-done" : ""}${active ? " active" : ""}`);
  }
  const item = items.get(event.at);
  const name = item.leaf ? `${item.name || "leaf"}.grad` : item.operation;
  const where = item.leaf ? "" : item.module ? ` in ${item.module}` : "";
  const what = item.leaf ? event.end : backward ? "sends gradients back" : "computes its value";
  const sentence = `Step ${now + 1} of ${data.events.length}, ${event.kind}: ${name}${where} ${what}.`;
  byId("now").replaceChildren(
    make("span", { class: event.kind, text: backward ? "\u25c0 backward" : "forward \u25b6" }),
    ` ${sentence}`,
  );
  slider.setAttribute("aria-valuetext", sentence);
  showDetail();
}

function setPicture(element, which, array) {
  const image = element.querySelector(`.${which}-picture`);
  const source = array == null ? null : picture(array);
  if (source) image.setAttribute("href", source);
  else image.removeAttribute("href");
}

// --------------------------------------------------------------------------------------- panel

function link(id) {
  const item = items.get(id);
  const text = item.leaf ? item.name || "a constant" : item.module ? `${item.operation} (${item.module})` : item.operation;
  return make("button", { class: "link", text, onclick: () => select(id) });
}

function side(kind, array, caption, otherwise) {
  const cell = make("div", { class: `${kind}-side` });
  if (array == null) cell.append(make("p", { class: "later", text: otherwise }));
  else cell.append(showNumbers(data.arrays[array], caption));
  return cell;
}

function showDetail() {
  const panel = byId("detail");
  const item = items.get(selected);
  if (!item) return;
  panel.replaceChildren(...(item.leaf ? leafDetail(item) : stepDetail(item)));
}

function leafDetail(leaf) {
  const now = position();
  const done = leaf.visits.filter((v) => v <= now);
  const visit = done.length ? data.events[done.at(-1)] : null;
  const kind = leaf.module !== null ? "a parameter" : leaf.wanted ? "a leaf" : "data: no gradient is wanted";
  const parts = [
    make("div", { class: "head" }, make("h2", { text: leaf.name || "a constant" }), make("span", { class: "badge", text: kind })),
    make("div", { class: "pair" },
      side("value", leaf.array, "value", ""),
      leaf.wanted ? side("gradient", visit?.arrived[0], "gradient", leaf.visits.length ? "its gradient has not arrived yet" : "no gradient arrived") : null),
  ];
  if (visit) parts.push(...arrival(visit), make("p", { text: `It ${visit.end}.` }));
  return parts;
}

function stepDetail(step) {
  const now = position();
  const parts = [
    make("div", { class: "head" },
      make("h2", { text: step.operation }),
      step.module !== null ? make("span", { class: "badge", text: `${step.module}: ${step.kind}` }) : null,
      step.recorded ? make("span", { class: "badge", text: step.node }) : make("span", { class: "badge", text: "not on the tape" })),
  ];
  if (step.description) parts.push(make("p", { class: "quiet", text: step.description }));
  const given = Object.entries(step.parameters).map(([k, v]) => `${k} = ${v}`).join(", ");
  if (given) parts.push(make("p", { class: "quiet", text: given }));
  if (step.source) {
    parts.push(make("div", { class: "source" },
      make("div", { class: "quiet", text: step.source }), make("pre", {}, make("code", { text: step.text }))));
  }
  const done = step.visits.filter((v) => v <= now);
  const visit = done.length ? data.events[done.at(-1)] : null;
  const later = step.visits.length ? "backward has not been here yet" : "backward does not come here";

  parts.push(make("h3", { text: step.variable ? `Output: ${step.variable}` : "Output" }));
  step.outputs.forEach((output, i) => {
    const which = step.outputs.length > 1 ? ` ${i}` : "";
    const arrived = visit && i < visit.arrived.length ? visit.arrived[i] : null;
    parts.push(make("div", { class: "pair" },
      side("value", output, `value${which}`, "the tape alone does not know its value"),
      side("gradient", arrived, `gradient${which}`, later)));
  });
  if (visit) parts.push(...arrival(visit));
  if (step.formulas.length) {
    parts.push(make("h3", { text: "Derivative" }));
    const formula = make("div", { class: "formula" });
    const where = new Map();
    for (const f of step.formulas) {
      for (const line of f.lines) formula.append(make("div", {}, make("code", { text: line })));
      for (const [name, text] of Object.entries(f.where)) where.set(name, text);
    }
    const arrives = step.formulas[0].arrives;
    parts.push(formula, make("ul", { class: "where" },
      arrives ? make("li", { text: `${arrives}: the gradient that arrives at the output` }) : null,
      ...[...where].map(([name, text]) => make("li", { text: `${name}: ${text}` }))));
  }
  parts.push(make("h3", { text: "Inputs" }));
  for (const input of step.inputs) {
    const sent = visit?.outgoing.filter((c) => c.input === input.name)[0];
    const named = input.variable && input.variable !== input.name ? `${input.name} = ${input.variable}` : input.name;
    const gradient = side("gradient", sent?.array, `d${input.name}`, input.wanted ? later : "no gradient is wanted");
    if (sent?.summed.length) {
      gradient.append(make("p", { class: "later",
        text: `summed over axes ${sent.summed.join(", ")} of ${sizes(data.arrays[sent.before].shape)}, to undo broadcasting` }));
    }
    parts.push(make("div", { class: "pair" }, side("value", input.array, named, "the tape alone does not know its value"), gradient));
    if (input.origin) parts.push(make("p", { class: "quiet" }, "from ", link(input.origin)));
  }
  if (step.recorded) {
    parts.push(make("h3", { text: "Remembered for backward" }));
    const total = step.remembered.reduce((sum, r) => sum + r.bytes, 0);
    const names = step.remembered.map((r) => `${r.name} (${sizes(r.shape)})`).join(", ");
    parts.push(make("p", { text: names ? `${names}: ${bytes(total)}` : "nothing" }));
  }
  if (visit?.operations.length) {
    parts.push(make("p", { class: "quiet", text: `Backward ran ${[...new Set(visit.operations)].join(", ")}.` }));
  }
  return parts;
}

/** Where an arrived gradient came from: a fan-in adds its contributions. */
function arrival(visit) {
  const parts = [];
  const from = visit.incoming.filter((c) => c.source);
  if (!from.length) parts.push(make("p", { class: "quiet", text: "Backward starts here." }));
  else if (from.length === 1) parts.push(make("p", { class: "quiet" }, "The gradient came from ", link(from[0].source), "."));
  else {
    parts.push(make("p", { text: `The gradient is the sum of ${from.length} contributions:` }));
    parts.push(make("ul", { class: "sums" }, ...from.map((c) =>
      make("li", {}, link(c.source), ` (its ${c.input}), norm ${short(data.arrays[c.array].norm)}`))));
  }
  if (visit.hooks) {
    const before = visit.beforeHooks == null ? "" : `; before, its norm was ${short(data.arrays[visit.beforeHooks].norm)}`;
    parts.push(make("p", { class: "quiet", text: `${visit.hooks} hook(s) saw it${before}.` }));
  }
  return parts;
}

// -------------------------------------------------------------------------------------- search

let hits = [];
let hit = -1;
function search() {
  const text = byId("query").value.trim().toLowerCase();
  hits = !text ? [] : [...items.values()].filter((item) =>
    (item.leaf ? [item.name] : [item.operation, item.module ?? "", item.variable, item.source, item.text, item.description, item.node])
      .some((field) => field.toLowerCase().includes(text))).map((item) => item.id);
  hit = -1;
  byId("hits").textContent = text ? `${hits.length} found` : "";
  mark();
}
function mark() {
  const found = new Set(hits.map(homeOf));
  for (const [id, { element }] of boxes) element.classList.toggle("hit", found.has(id));
}
byId("query").addEventListener("input", search);
byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!hits.length) return;
  hit = (hit + 1) % hits.length;
  const shut = (chains.get(hits[hit]) ?? []).filter((key) => !open.has(key));
  shut.forEach((key) => open.add(key));
  if (shut.length) layOut();
  select(hits[hit]);
  follow(homeOf(hits[hit]));
  mark();
});

// ------------------------------------------------------------------------------------- controls

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (position() + 1 < data.events.length ? go(position() + 1) : play(false)), 900) : null;
  byId("play").textContent = on ? "Pause" : "Play";
  byId("play").setAttribute("aria-pressed", String(on));
}
slider.addEventListener("input", () => go(position()));
byId("back").addEventListener("click", () => go(position() - 1));
byId("next").addEventListener("click", () => go(position() + 1));
byId("play").addEventListener("click", () => {
  if (playing === null && position() + 1 >= data.events.length) go(0);
  play(playing === null);
});
byId("zoom-in").addEventListener("click", () => svg.call(zoom.scaleBy, 1.3));
byId("zoom-out").addEventListener("click", () => svg.call(zoom.scaleBy, 1 / 1.3));
byId("fit").addEventListener("click", fit);
byId("expand").addEventListener("click", () => openAll([...groups.keys()].filter(usable)));
byId("collapse").addEventListener("click", () => openAll([]));
function openAll(keys) {
  if (!data.steps.length) return;
  open.clear();
  keys.forEach((key) => open.add(key));
  layOut();
  firstLook();
  show();
  follow(homeOf(selected));
}
document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const keys = {
    ArrowRight: () => go(position() + 1),
    ArrowLeft: () => go(position() - 1),
    Home: () => go(0),
    End: () => go(data.events.length - 1),
    "/": () => byId("query").focus(),
    "+": () => svg.call(zoom.scaleBy, 1.3),
    "-": () => svg.call(zoom.scaleBy, 1 / 1.3),
    0: fit,
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
});
dark.addEventListener("change", () => {
  thumbnails.clear();
  show();
});

const walks = new Set(data.events.filter((e) => e.kind === "backward").map((e) => e.walk)).size;
byId("totals").textContent =
  `${data.steps.length} steps, ${walks} backward ${walks === 1 ? "pass" : "passes"}, ${bytes(data.remembered)} remembered`;
if (data.missing.length) {
  byId("missing").hidden = false;
  byId("missing").textContent = data.missing.join(" ");
}
if (data.steps.length) {
  layOut();
  firstLook();
  show();
} else byId("now").textContent = "Nothing ran inside the trace.";
