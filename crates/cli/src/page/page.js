"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const COLOURS = {
  light: ["#d1495b", "#edae49", "#35a7c4", "#3f9b5b", "#4a6fd0", "#b060b0", "#c3cad3", "#7a6f63"],
  dark: ["#e0677a", "#e6b058", "#4fbcd6", "#57b877", "#6f93ee", "#c884cb", "#434c58", "#a3968a"],
};
const PAGE = 4096;
const MARGIN = { left: 118, right: 12, top: 8, bottom: 22 };
const state = { space: 0, byLog: true, scale: null, view: null, hover: null, chosen: null };

// Numbers for people.
const count = (n) => n.toLocaleString("en-US").replace(/,/g, " ");
const hex = (n) => n.toString(16).padStart(8, "0");
function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (bytes >= 1024 && unit < units.length - 1) { bytes /= 1024; unit += 1; }
  return `${bytes < 10 && bytes % 1 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}
const perms = (bits) => ["r", "w", "x"].map((c, i) => (bits >> i & 1 ? c : "-")).join("") + (bits & 8 ? "s" : "p");
function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Heights: addresses that were ever mapped get room, free ones a gap of fixed size.
function makeScale(space, byLog) {
  const edges = [...new Set(space.rects.flatMap((r) => [r[0], r[1]]))].sort((a, b) => a - b);
  const place = new Map(edges.map((edge, index) => [edge, index]));
  const covered = new Int32Array(edges.length + 1);
  for (const r of space.rects) { covered[place.get(r[0])] += 1; covered[place.get(r[1])] -= 1; }
  const weights = [];
  let depth = 0, first = 0, pagesHere = 0;
  // In the logarithmic form a region's height grows with its size and, slowly, with the number
  // of edges in it: many small changes in one region do not push the others aside.
  const endRegion = (end) => {
    const parts = weights.slice(first, end), sum = parts.reduce((a, b) => a + b, 0);
    const height = Math.log2(1 + pagesHere) * (1 + Math.log2(parts.length));
    for (let i = first; i < end; i += 1) weights[i] *= height / sum;
  };
  for (let i = 0; i + 1 < edges.length; i += 1) {
    depth += covered[i];
    const pages = (edges[i + 1] - edges[i]) / PAGE;
    if (depth > 0) {
      if (i === 0 || weights[i - 1] < 0) { first = i; pagesHere = 0; }
      pagesHere += pages;
    } else if (byLog && i > 0 && weights[i - 1] > 0) {
      endRegion(i);
    }
    weights.push(depth > 0 ? (byLog ? 0.4 + Math.log2(1 + pages) : pages) : -1);
  }
  if (byLog && weights.length && weights[weights.length - 1] > 0) endRegion(weights.length);
  const mapped = weights.filter((w) => w > 0);
  const total = mapped.reduce((a, b) => a + b, 0) || 1;
  const nrGaps = weights.filter((w) => w < 0).length;
  // All gaps together take at most a quarter of the height.
  const gap = byLog ? Math.min(1.2, total / 3 / Math.max(1, nrGaps)) : Math.min(total * 0.012, total / 3 / Math.max(1, nrGaps));
  const at = [0];
  for (const w of weights) at.push(at[at.length - 1] + (w < 0 ? gap : w));
  const index = (value, list) => {
    let low = 0, high = list.length - 1;
    while (low < high) { const middle = (low + high + 1) >> 1; if (list[middle] <= value) low = middle; else high = middle - 1; }
    return low;
  };
  return {
    edges, at, height: at[at.length - 1] || 1,
    y: (address) => at[place.get(address)],
    // Region starts: the first edge, and each edge after free addresses.
    starts: edges.filter((_, i) => i === 0 ? weights[0] > 0 : weights[i] > 0 && weights[i - 1] < 0),
    address: (y) => {
      const i = Math.min(index(y, at), Math.max(0, edges.length - 2));
      const share = (y - at[i]) / ((at[i + 1] - at[i]) || 1);
      return Math.floor((edges[i] + share * (edges[i + 1] - edges[i])) / PAGE) * PAGE;
    },
  };
}

const space = () => data.spaces[state.space];
const states = () => space().columns.length + 1;
const colours = () => COLOURS[document.documentElement.dataset.theme];
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
  return { pen, width, height, inner: width - MARGIN.left - MARGIN.right };
}

function toScreen(width, height) {
  const { x0, x1, y0, y1 } = state.view;
  const innerWidth = width - MARGIN.left - MARGIN.right;
  const innerHeight = height - MARGIN.top - MARGIN.bottom;
  return {
    x: (s) => MARGIN.left + (s - x0) / (x1 - x0) * innerWidth,
    // High addresses on top, as one draws an address space.
    y: (v) => MARGIN.top + (y1 - v) / (y1 - y0) * innerHeight,
    s: (px) => x0 + (px - MARGIN.left) / innerWidth * (x1 - x0),
    v: (py) => y1 - (py - MARGIN.top) / innerHeight * (y1 - y0),
  };
}

// 1, 2, 5, 10, 20 …
function niceStep(range, most) {
  const factors = [2, 2.5, 2];
  let step = 1;
  for (let i = 0; range / step > most; i += 1) step *= factors[i % 3];
  return step;
}

function drawTimeAxis(pen, to, width, top, bottom, labels) {
  const { x0, x1 } = state.view;
  const stride = space().stride;
  const step = niceStep((x1 - x0) * stride, Math.max(2, (width - MARGIN.left) / 90));
  pen.strokeStyle = css("--grid");
  pen.fillStyle = css("--dim");
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  for (let call = Math.ceil(Math.max(0, x0) * stride / step) * step; call <= x1 * stride; call += step) {
    const x = Math.round(to.x(call / stride)) + 0.5;
    pen.beginPath(); pen.moveTo(x, top); pen.lineTo(x, bottom); pen.stroke();
    if (labels && x > MARGIN.left - 5 && x < width - 20) pen.fillText(call === 0 ? "start" : count(call), x, bottom + 15);
  }
  if (labels) { pen.textAlign = "right"; pen.fillText("calls", MARGIN.left - 24, bottom + 15); }
}

function drawMap() {
  const { pen, width, height } = prepare($("map"));
  const to = toScreen(width, height);
  const { x0, x1, y0, y1 } = state.view;
  const scale = state.scale;
  const bottom = height - MARGIN.bottom;
  drawTimeAxis(pen, to, width, MARGIN.top, bottom, true);
  drawAddressAxis(pen, to, width, bottom);
  pen.save();
  pen.beginPath();
  pen.rect(MARGIN.left, MARGIN.top, width - MARGIN.left - MARGIN.right, bottom - MARGIN.top);
  pen.clip();
  const palette = colours();
  const names = [], lines = [];
  let nrDrawn = 0;
  for (const r of space().rects) {
    if (r[6] < x0 || r[5] > x1) continue;
    const low = scale.y(r[0]), high = scale.y(r[1]);
    if (high < y0 || low > y1) continue;
    // Whole pixels from side to side: no seams where one mapping follows another.
    const left = Math.round(to.x(r[5])), right = Math.max(left + 1, Math.round(to.x(r[6])));
    const top = to.y(high), base = to.y(low);
    nrDrawn += 1;
    pen.fillStyle = palette[r[2]];
    const tall = Math.max(0.75, base - top), wide = right - left;
    pen.fillRect(left, top, wide, tall);
    // Thin lines between neighbours, where there is room for them.
    if (tall > 3) lines.push([left, base, right, base]);
    if (wide > 9 && tall > 3) lines.push([right, top, right, base]);
    if (tall >= 13 && wide >= 48) names.push([r, Math.max(left, MARGIN.left), top, right, tall]);
  }
  pen.strokeStyle = css("--panel");
  pen.lineWidth = 0.6;
  pen.beginPath();
  for (const [x, y, toX, toY] of lines) { pen.moveTo(x, y); pen.lineTo(toX, toY); }
  pen.stroke();
  // Names after all rectangles, so that none is covered.
  pen.textBaseline = "middle";
  pen.textAlign = "left";
  for (const [r, left, top, right, tall] of names) {
    const name = data.names[r[4]] || data.kinds[r[2]];
    const short = name.startsWith("/") ? name.slice(name.lastIndexOf("/") + 1) : name;
    const room = Math.min(right, width - MARGIN.right) - left - 8;
    if (room > 24 && pen.measureText(short).width <= room) {
      pen.fillStyle = document.documentElement.dataset.theme === "dark" || r[2] === 6 || r[2] === 1 ? "#15181c" : "#ffffff";
      if (r[2] === 6 && document.documentElement.dataset.theme === "dark") pen.fillStyle = "#d5dae1";
      pen.fillText(short, left + 5, top + tall / 2 + 0.5);
    }
  }
  if (state.chosen !== null) {
    const x = to.x(state.chosen / space().stride);
    pen.strokeStyle = css("--accent");
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(x, MARGIN.top); pen.lineTo(x, bottom); pen.stroke();
  }
  if (state.hover) {
    const { px, rect } = state.hover;
    pen.strokeStyle = css("--dim");
    pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(px, MARGIN.top); pen.lineTo(px, bottom); pen.stroke();
    if (rect) {
      const left = to.x(rect[5]), top = to.y(scale.y(rect[1]));
      pen.strokeStyle = css("--text");
      pen.lineWidth = 1.5;
      pen.strokeRect(left, top, to.x(rect[6]) - left, to.y(scale.y(rect[0])) - top);
    }
  }
  pen.restore();
  pen.strokeStyle = css("--line");
  pen.lineWidth = 1;
  pen.strokeRect(MARGIN.left + 0.5, MARGIN.top + 0.5, width - MARGIN.left - MARGIN.right - 1, bottom - MARGIN.top - 1);
  // For whoever looks at the page without eyes.
  $("map").dataset.drawn = nrDrawn;
}

function drawAddressAxis(pen, to, width, bottom) {
  const scale = state.scale;
  pen.fillStyle = css("--dim");
  pen.textAlign = "right";
  pen.textBaseline = "alphabetic";
  pen.font = "11px ui-monospace, 'DejaVu Sans Mono', monospace";
  // The lowest address of each region, where there is room; then, zoomed in, other edges.
  const taken = [];
  const label = (edge) => {
    const y = to.y(scale.y(edge));
    if (y < MARGIN.top + 9 || y > bottom || taken.some((other) => Math.abs(other - y) < 15)) return;
    taken.push(y);
    pen.fillText(hex(edge), MARGIN.left - 8, y);
    pen.strokeStyle = css("--line");
    pen.beginPath(); pen.moveTo(MARGIN.left - 5, Math.round(y) - 0.5); pen.lineTo(MARGIN.left, Math.round(y) - 0.5); pen.stroke();
  };
  scale.starts.forEach(label);
  if (scale.edges.length < 20000) scale.edges.forEach(label);
  pen.font = "11px system-ui, 'DejaVu Sans', sans-serif";
}

function drawStrip() {
  const { pen, width, height } = prepare($("strip"));
  const to = toScreen(width, height);
  const columns = space().columns;
  const { x0, x1 } = state.view;
  const first = Math.max(0, Math.floor(x0)), last = Math.min(columns.length, Math.ceil(x1));
  const upper = { top: 6, bottom: height * 0.5 - 4 }, lower = { top: height * 0.5 + 6, bottom: height - 6 };
  const most = Math.max(1, ...columns.map((c) => c.vmas));
  const mostChanges = Math.max(1, ...columns.map((c) => Math.max(c.merges, c.splits)));
  const middle = (lower.top + lower.bottom) / 2;
  drawTimeAxis(pen, to, width, upper.top, lower.bottom, false);
  pen.save();
  pen.beginPath(); pen.rect(MARGIN.left, 0, width - MARGIN.left - MARGIN.right, height); pen.clip();
  pen.fillStyle = css("--accent");
  pen.globalAlpha = 0.3;
  for (let i = first; i < last; i += 1) {
    const tall = columns[i].vmas / most * (upper.bottom - upper.top);
    const left = Math.round(to.x(i + 1));
    pen.fillRect(left, upper.bottom - tall, Math.round(to.x(i + 2)) - left, tall);
  }
  pen.globalAlpha = 1;
  const room = (lower.bottom - lower.top) / 2;
  for (let i = first; i < last; i += 1) {
    const left = to.x(i + 1), wide = Math.max(1, Math.min(14, (to.x(i + 2) - left) * 0.8));
    pen.fillStyle = css("--up");
    const up = columns[i].merges / mostChanges * room;
    if (up) pen.fillRect(left, middle - Math.max(1.5, up), wide, Math.max(1.5, up));
    pen.fillStyle = css("--down");
    const down = columns[i].splits / mostChanges * room;
    if (down) pen.fillRect(left, middle, wide, Math.max(1.5, down));
  }
  pen.restore();
  pen.strokeStyle = css("--line");
  pen.beginPath();
  for (const y of [upper.bottom, middle]) { pen.moveTo(MARGIN.left, Math.round(y) + 0.5); pen.lineTo(width - MARGIN.right, Math.round(y) + 0.5); }
  pen.stroke();
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  pen.fillStyle = css("--dim");
  pen.fillText(`mappings, max ${count(most)}`, MARGIN.left - 8, (upper.top + upper.bottom) / 2);
  pen.fillStyle = css("--up");
  pen.fillText("merges", MARGIN.left - 8, middle - 9);
  pen.fillStyle = css("--down");
  pen.fillText("splits", MARGIN.left - 8, middle + 10);
}

let pending = false;
function draw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; drawMap(); drawStrip(); });
}

// View.
const whole = () => ({ x0: 0, x1: states(), y0: 0, y1: state.scale.height });
function clampView() {
  const all = whole(), view = state.view;
  for (const [low, high, least] of [["x0", "x1", Math.min(4, all.x1)], ["y0", "y1", all.y1 / 2000]]) {
    const span = Math.min(all[high], Math.max(least, view[high] - view[low]));
    view[low] = Math.max(0, Math.min(view[low], all[high] - span));
    view[high] = view[low] + span;
  }
}
function zoom(axis, factor, centre) {
  const [low, high] = [axis + "0", axis + "1"];
  const view = state.view;
  const at = centre === undefined ? (view[low] + view[high]) / 2 : centre;
  view[low] = at - (at - view[low]) * factor;
  view[high] = at + (view[high] - at) * factor;
  clampView();
  draw();
}
function pan(x, y) {
  const view = state.view;
  view.x0 += x; view.x1 += x; view.y0 += y; view.y1 += y;
  clampView();
  draw();
}

// What is under the pointer.
function rectAt(s, v) {
  const scale = state.scale;
  let found = null;
  for (const r of space().rects) {
    if (r[5] <= s && s < r[6] && scale.y(r[0]) <= v && v < scale.y(r[1])) found = r;
  }
  return found;
}
function callsOf(index) {
  const { stride, columns, log } = space();
  const column = columns[index];
  const from = index * stride + 1;
  if (!column) return [];
  if (stride === 1 && log[index]) {
    const [call, result, merges, splits] = log[index];
    const changes = [merges && `${merges} merged`, splits && `${splits} split`].filter(Boolean).join(", ");
    return [["code", `#${from} ${call} = ${result}`], ["dim", changes]];
  }
  const kinds = Object.entries(column.kinds).sort((a, b) => b[1] - a[1]).map(([kind, n]) => `${count(n)} ${kind}`);
  const changes = `${count(column.merges)} merged, ${count(column.splits)} split, ${count(column.failed)} failed`;
  return [["code", `calls ${count(from)} to ${count(from + column.calls - 1)}`], ["", kinds.join(", ")], ["dim", changes]];
}
function showTip(event) {
  const canvas = $("map");
  const box = canvas.getBoundingClientRect();
  const [px, py] = [event.clientX - box.left, event.clientY - box.top];
  const to = toScreen(canvas.clientWidth, canvas.clientHeight);
  const inside = px >= MARGIN.left && px <= canvas.clientWidth - MARGIN.right && py >= MARGIN.top && py <= canvas.clientHeight - MARGIN.bottom;
  const tip = $("tip");
  if (!inside) { state.hover = null; tip.hidden = true; draw(); return; }
  const s = to.s(px), v = to.v(py);
  const rect = rectAt(s, v);
  state.hover = { px, rect };
  tip.replaceChildren();
  const line = (className, text) => {
    if (!text) return;
    const row = element("div", undefined, className === "dim" ? "dim" : "");
    row.append(className === "code" ? element("b", text) : text);
    tip.append(row);
  };
  if (rect) {
    const [start, end, kind, bits, name, from, until] = rect;
    line("code", `${hex(start)}-${hex(end)} ${perms(bits)}`);
    line("", `${data.names[name] || "anonymous memory"} · ${data.kinds[kind]} · ${size(end - start)}`);
    const stride = space().stride;
    const since = from === 0 ? "there from the start" : `since call ${count((from - 1) * stride + 1)}${stride > 1 ? ` to ${count(from * stride)}` : ""}`;
    const till = until >= states() ? "to the end" : `until call ${count((until - 1) * stride + 1)}`;
    line("dim", `${since}, ${till}`);
  } else {
    line("code", hex(state.scale.address(v)));
    line("dim", "not mapped then");
  }
  const index = Math.floor(s) - 1;
  for (const [className, text] of index < 0 ? [["dim", "before the first call"]] : callsOf(index)) line(className, text);
  tip.hidden = false;
  const room = canvas.clientWidth - tip.offsetWidth - 8;
  tip.style.left = `${Math.max(0, Math.min(px + 14, px + 14 > room ? px - tip.offsetWidth - 14 : room))}px`;
  tip.style.top = `${Math.max(0, Math.min(py + 14, canvas.clientHeight - tip.offsetHeight))}px`;
  draw();
}

// Tables.
function showKinds() {
  const body = $("kinds").tBodies[0];
  body.replaceChildren();
  const rows = Object.entries(space().by_kind).sort((a, b) => b[1].calls - a[1].calls);
  const most = Math.max(1, ...rows.map(([, row]) => row.calls));
  const total = { calls: 0, failed: 0, merges: 0, splits: 0 };
  const add = (name, row, bar) => {
    const line = body.insertRow();
    line.append(element("td", name, "code"), element("td", count(row.calls), "number"));
    const cell = line.insertCell();
    if (bar) { const made = element("i"); made.style.width = `${100 * row.calls / most}%`; cell.append(made); }
    for (const field of ["failed", "merges", "splits"]) line.append(element("td", count(row[field]), "number"));
  };
  for (const [name, row] of rows) {
    add(name, row, true);
    for (const field of Object.keys(total)) total[field] += row[field];
  }
  add("total", total, false);
}
const MOST_ROWS = 400;
function showLog() {
  const body = $("log").tBodies[0];
  const wanted = $("filter").value.trim().toLowerCase();
  const { log, calls } = space();
  body.replaceChildren();
  let nrFound = 0;
  log.forEach(([call, result, merges, splits], index) => {
    if (wanted && !`${call} = ${result}`.toLowerCase().includes(wanted)) return;
    nrFound += 1;
    if (nrFound > MOST_ROWS) return;
    const row = body.insertRow();
    row.dataset.call = index + 1;
    if (state.chosen === index + 1) row.className = "chosen";
    const isError = /^[E-]/.test(result);
    row.append(element("td", count(index + 1), "number"), element("td", call, "code"), element("td", result, isError ? "code failed" : "code"));
    for (const n of [merges, splits]) row.append(element("td", n || "", "number"));
  });
  const shown = Math.min(nrFound, MOST_ROWS);
  const kept = log.length < calls ? `; of ${count(calls)} calls the first ${count(log.length)} are kept word for word` : "";
  $("shown").textContent = `${count(shown)} of ${count(nrFound)} shown${kept}`;
}
function choose(call) {
  state.chosen = call;
  const at = call / space().stride, span = state.view.x1 - state.view.x0;
  if (at < state.view.x0 || at > state.view.x1) { state.view.x0 = at - span / 2; state.view.x1 = at + span / 2; clampView(); }
  for (const row of $("log").tBodies[0].rows) row.className = Number(row.dataset.call) === call ? "chosen" : "";
  draw();
}

function showSpace(index) {
  state.space = index;
  state.chosen = null;
  state.scale = makeScale(space(), state.byLog);
  state.view = whole();
  const { stride, reseeds } = space();
  const words = [];
  if (stride > 1) words.push(`One column is ${count(stride)} calls: mappings that lived for less are not drawn, but counted.`);
  if (reseeds) words.push(`The map was read anew from the kernel ${count(reseeds)} times.`);
  words.push("Free addresses between mappings are drawn as narrow gaps; high addresses are on top.");
  $("note").textContent = words.join(" ");
  showKinds();
  showLog();
  draw();
}
function setHeights(byLog) {
  state.byLog = byLog;
  $("by-log").setAttribute("aria-pressed", byLog);
  $("by-size").setAttribute("aria-pressed", !byLog);
  const { x0, x1 } = state.view;
  state.scale = makeScale(space(), byLog);
  state.view = { ...whole(), x0, x1 };
  draw();
}

function start() {
  const root = document.documentElement;
  root.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.title = `vmaple run ${data.command.join(" ")}`;
  $("command").textContent = data.command.join(" ");
  $("summary").textContent = data.summary;
  const showLegend = () => {
    $("legend").replaceChildren(...data.kinds.map((kind, index) => {
      const item = element("li");
      const patch = element("i");
      patch.style.background = colours()[index];
      item.append(patch, kind);
      return item;
    }));
  };
  showLegend();
  data.spaces.forEach(({ pid, program, calls }, index) => {
    const option = element("option", `${pid} ${program.slice(program.lastIndexOf("/") + 1)}: ${count(calls)} calls`);
    option.value = index;
    $("space").append(option);
  });
  $("space").addEventListener("change", (event) => showSpace(Number(event.target.value)));
  $("theme").addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    showLegend();
    draw();
  });
  $("by-log").addEventListener("click", () => setHeights(true));
  $("by-size").addEventListener("click", () => setHeights(false));
  const all = () => { state.view = whole(); draw(); };
  const both = (factor) => { zoom("x", factor); zoom("y", factor); };
  $("in").addEventListener("click", () => both(0.6));
  $("out").addEventListener("click", () => both(1 / 0.6));
  $("all").addEventListener("click", all);
  $("filter").addEventListener("input", showLog);
  $("log").tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (row) choose(Number(row.dataset.call));
  });
  const map = $("map");
  map.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = map.getBoundingClientRect();
    const to = toScreen(map.clientWidth, map.clientHeight);
    const factor = Math.exp(Math.sign(event.deltaY || event.deltaX) * 0.22);
    if (event.shiftKey) zoom("y", factor, to.v(event.clientY - box.top));
    else zoom("x", factor, to.s(event.clientX - box.left));
    showTip(event);
  }, { passive: false });
  let drag = null;
  map.addEventListener("pointerdown", (event) => { drag = [event.clientX, event.clientY]; map.setPointerCapture(event.pointerId); });
  map.addEventListener("pointerup", () => { drag = null; });
  map.addEventListener("pointermove", (event) => {
    if (drag) {
      const to = toScreen(map.clientWidth, map.clientHeight);
      pan(to.s(drag[0]) - to.s(event.clientX), to.v(drag[1]) - to.v(event.clientY));
      drag = [event.clientX, event.clientY];
    }
    showTip(event);
  });
  map.addEventListener("pointerleave", () => { state.hover = null; $("tip").hidden = true; draw(); });
  map.addEventListener("dblclick", all);
  map.addEventListener("keydown", (event) => {
    const { x0, x1, y0, y1 } = state.view;
    const moves = { ArrowLeft: [x0 - x1, 0], ArrowRight: [x1 - x0, 0], ArrowUp: [0, y1 - y0], ArrowDown: [0, y0 - y1] };
    if (moves[event.key]) { pan(moves[event.key][0] / 8, moves[event.key][1] / 8); event.preventDefault(); }
    if (event.key === "+") both(0.6);
    if (event.key === "-") both(1 / 0.6);
    if (event.key === "0") all();
  });
  addEventListener("resize", draw);
  let busiest = 0;
  data.spaces.forEach((one, index) => { if (one.calls > data.spaces[busiest].calls) busiest = index; });
  if (data.spaces.length) { $("space").value = busiest; showSpace(busiest); }
}
start();
