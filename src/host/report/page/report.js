"use strict";
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const el = (tag, props, ...children) => {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props || {})) {
    if (k in e && k !== "list") e[k] = v; else e.setAttribute(k, v);
  }
  e.append(...children);
  return e;
};
const svg = (tag, attrs, ...children) => {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attrs || {})) e.setAttribute(k, v);
  e.append(...children);
  return e;
};
const bytes = b64 => Uint8Array.from(atob(b64), c => c.charCodeAt(0));
const f32 = b64 => new Float32Array(bytes(b64).buffer);
const u32 = b64 => new Uint32Array(bytes(b64).buffer);
const count = n => n.toLocaleString("en");
const percent = x => (100 * x).toFixed(x < 0.1 ? 2 : 1) + " %";

// ---- theme -------------------------------------------------------------------------------------
// Okabe and Ito's colours, told apart with every common colour blindness; the ones too faint on
// white or too dark on black are shifted in lightness.
const PALETTE = {
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#a89a00", "#333333"],
  dark: ["#4aa3df", "#f0793a", "#1fc295", "#e29ac2", "#8ccdf5", "#f0b030", "#f0e442", "#d8d8d8"],
};
const SHAPES = 6;
let theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
const style = i => ({ colour: PALETTE[theme][i % 8], shape: Math.floor(i / 8) % SHAPES });
const rgb = hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16));

// ---- pictures ----------------------------------------------------------------------------------
const sheets = set => set && Object.assign(set, {
  urls: set.sheets.map(s => URL.createObjectURL(new Blob([bytes(s)], { type: "image/jpeg" }))),
});
const thumbs = sheets(D.thumbs), gallery = sheets(D.gallery);
if (thumbs) thumbs.tiles = new Int32Array(bytes(thumbs.tile).buffer);
const tile = (set, t, size) => {
  const box = el("span", { className: "thumb" }), per = set.across * set.down;
  box.style.width = box.style.height = size + "px";
  if (t >= 0) {
    const f = size / set.size, at = t % per;
    box.style.backgroundImage = `url(${set.urls[Math.floor(t / per)]})`;
    box.style.backgroundSize = `${set.across * size}px auto`;
    box.style.backgroundPosition = `${-(at % set.across) * set.size * f}px ${-Math.floor(at / set.across) * set.size * f}px`;
  }
  return box;
};

// ---- points ------------------------------------------------------------------------------------
const n = D.n, dir = n ? u32(D.dir) : [];
const name = i => D.dirs[dir[i]] + D.files[i];
const colours = D.colours.map(c => ({ ...c, of: u32(c.of) }));
const NONE = 0xffffffff;
const labelOf = (c, i) => c.of[i] === NONE ? "none" : c.names[c.of[i]];
const views = D.views.map(v => ({ ...v, xy: f32(v.xy) }));
let view = views[views.length - 1], colour = colours[0];
let hidden = new Set(), selected = null, picked = -1, hover = -1;
const box = { x: 0, y: 0, scale: 1 };
const canvas = $("canvas"), over = $("over");
let W = 1, H = 1, dpr = 1, image = null, sx, sy, shown, grid = null;

const shapeDistance = (shape, x, y) => {
  const ax = Math.abs(x), ay = Math.abs(y);
  switch (shape) {
    case 1: return Math.max(ax, ay) - 0.86;
    case 2: return Math.max(-y * 0.5 + ax * 0.87, y) - 0.6;
    case 3: return (ax + ay) - 1.15;
    case 4: return Math.max(Math.min(ax, ay) - 0.32, Math.max(ax, ay) - 1.05);
    case 5: return Math.max(y * 0.5 + ax * 0.87, -y) - 0.6;
    default: return Math.hypot(x, y) - 1;
  }
};
const masks = new Map();
const mask = (shape, r) => {
  const key = shape + ":" + r;
  if (masks.has(key)) return masks.get(key);
  const half = Math.ceil(r * 1.25), side = 2 * half + 1, alpha = new Uint8Array(side * side);
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
    const d = shapeDistance(shape, (x - half) / r, (y - half) / r) * r;
    alpha[y * side + x] = Math.round(Math.max(0, Math.min(1, 0.5 - d)) * 225);
  }
  const m = { half, side, alpha };
  masks.set(key, m);
  return m;
};
const radius = () => (n < 1500 ? 4.6 : n < 8000 ? 3.4 : n < 30000 ? 2.5 : 1.9) * Math.min(2, Math.max(1, Math.sqrt(box.scale / box.home)));

const size = () => {
  const r = canvas.getBoundingClientRect();
  dpr = Math.min(2, devicePixelRatio || 1);
  W = Math.max(1, Math.round(r.width * dpr)); H = Math.max(1, Math.round(r.height * dpr));
  for (const c of [canvas, over]) { c.width = W; c.height = H; }
  image = new ImageData(W, H);
};
const fit = () => {
  let [a, b, c, d] = [Infinity, -Infinity, Infinity, -Infinity];
  const p = view.xy;
  for (let i = 0; i < n; i++) {
    a = Math.min(a, p[2 * i]); b = Math.max(b, p[2 * i]); c = Math.min(c, p[2 * i + 1]); d = Math.max(d, p[2 * i + 1]);
  }
  box.x = (a + b) / 2; box.y = (c + d) / 2;
  box.scale = box.home = 0.92 * Math.min(W / Math.max(b - a, 1e-9), H / Math.max(d - c, 1e-9));
};
let queued = false, stride = 1, settle;
// While a large map moves, part of its points is drawn; all of them once it rests.
const moving = () => {
  if (n > 30000) {
    stride = Math.ceil(n / 20000);
    clearTimeout(settle);
    settle = setTimeout(() => { stride = 1; redraw(); }, 160);
  }
  redraw();
};
const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; draw(); }); } };
const draw = () => {
  if (!n) return;
  const buffer = image.data, words = new Uint32Array(buffer.buffer);
  const back = rgb(theme === "dark" ? "#181b1f" : "#ffffff");
  words.fill(0xff000000 | back[2] << 16 | back[1] << 8 | back[0]);
  const r = Math.round(radius() * dpr * 4) / 4, p = view.xy;
  const looks = colour.names.map((_, i) => style(i)), faint = rgb(theme === "dark" ? "#4b535c" : "#c3c9cf");
  const none = { rgb: rgb("#8a8f94"), mask: mask(0, r * 0.7) };
  const glyphs = looks.map(l => ({ rgb: rgb(l.colour), mask: mask(l.shape, r) }));
  const drawAll = front => {
    for (let i = 0; i < n; i += stride) {
      const c = colour.of[i];
      if (hidden.has(c)) { shown[i] = 0; continue; }
      const isFront = !selected || selected.has(i);
      if (isFront !== front) continue;
      const x = Math.round((p[2 * i] - box.x) * box.scale + W / 2), y = Math.round(H / 2 - (p[2 * i + 1] - box.y) * box.scale);
      sx[i] = x; sy[i] = y;
      const g = c === NONE ? none : glyphs[c], { half, side, alpha } = g.mask;
      if (x < -half || y < -half || x >= W + half || y >= H + half) { shown[i] = 0; continue; }
      shown[i] = 1;
      const [R, G, B] = isFront ? g.rgb : faint;
      const x0 = Math.max(0, x - half), x1 = Math.min(W - 1, x + half), y0 = Math.max(0, y - half), y1 = Math.min(H - 1, y + half);
      for (let py = y0; py <= y1; py++) {
        let m = (py - y + half) * side + x0 - x + half, q = 4 * (py * W + x0);
        for (let px = x0; px <= x1; px++, m++, q += 4) {
          const a = alpha[m];
          if (!a) continue;
          buffer[q] += (R - buffer[q]) * a >> 8;
          buffer[q + 1] += (G - buffer[q + 1]) * a >> 8;
          buffer[q + 2] += (B - buffer[q + 2]) * a >> 8;
        }
      }
    }
  };
  if (selected) drawAll(false);
  drawAll(true);
  canvas.getContext("2d").putImageData(image, 0, 0);
  grid = null;
  marks();
};
let path = null;
const marks = () => {
  const g = over.getContext("2d");
  g.clearRect(0, 0, W, H);
  const ring = (i, w) => {
    if (i < 0 || !shown[i]) return;
    g.beginPath(); g.arc(sx[i], sy[i], (radius() + 4) * dpr, 0, 7); g.lineWidth = w * dpr; g.strokeStyle = theme === "dark" ? "#fff" : "#000"; g.stroke();
  };
  ring(hover, 1.5); ring(picked, 3);
  if (path && path.length > 1) {
    g.beginPath(); path.forEach(([x, y], i) => i ? g.lineTo(x, y) : g.moveTo(x, y)); g.closePath();
    g.fillStyle = "#0072b233"; g.fill(); g.strokeStyle = theme === "dark" ? "#8ccdf5" : "#0072b2"; g.lineWidth = 1.5 * dpr; g.stroke();
  }
};
const CELL = 24;
const at = (x, y) => {
  const columns = Math.ceil(W / CELL) + 1;
  if (!grid) {
    grid = new Map();
    for (let i = 0; i < n; i++) if (shown[i]) {
      const key = Math.floor(sy[i] / CELL) * columns + Math.floor(sx[i] / CELL);
      const cell = grid.get(key); if (cell) cell.push(i); else grid.set(key, [i]);
    }
  }
  let best = -1, near = (12 * dpr) ** 2;
  const cx = Math.floor(x / CELL), cy = Math.floor(y / CELL);
  for (let v = cy - 1; v <= cy + 1; v++) for (let u = cx - 1; u <= cx + 1; u++) {
    for (const i of grid.get(v * columns + u) || []) {
      if (selected && !selected.has(i)) continue;
      const d = (sx[i] - x) ** 2 + (sy[i] - y) ** 2;
      if (d < near) { near = d; best = i; }
    }
  }
  return best;
};
const describe = i => colours.map(c => `${c.name}: ${labelOf(c, i)}`);
const tip = (i, x, y) => {
  const t = $("tip");
  t.hidden = i < 0;
  if (i < 0) return;
  t.replaceChildren();
  if (thumbs && thumbs.tiles[i] >= 0) t.append(tile(thumbs, thumbs.tiles[i], 96));
  t.append(el("b", {}, name(i)), ...describe(i).map(s => el("div", {}, s)));
  const w = canvas.clientWidth, left = x > w / 2;
  t.style.left = left ? "" : x + 16 + "px"; t.style.right = left ? w - x + 16 + "px" : "";
  const below = y < canvas.clientHeight / 2;
  t.style.top = below ? y + 8 + "px" : ""; t.style.bottom = below ? "" : canvas.clientHeight - y + 8 + "px";
};
const zoom = (f, x = W / 2, y = H / 2) => {
  const s = Math.max(box.home * 0.5, Math.min(box.home * 5000, box.scale * f));
  box.x += (x - W / 2) * (1 / box.scale - 1 / s); box.y -= (y - H / 2) * (1 / box.scale - 1 / s);
  box.scale = s; moving();
};

// ---- details -----------------------------------------------------------------------------------
const card = i => {
  const b = el("button", { type: "button", className: "card", onclick: () => pick(i, true) });
  if (thumbs) b.append(tile(thumbs, thumbs.tiles[i], 82));
  b.append(el("span", {}, D.files[i]), el("span", { className: "num" }, labelOf(colour, i)));
  b.setAttribute("aria-label", name(i) + ", " + describe(i).join(", "));
  return b;
};
const near = D.near && { k: D.near.k, of: new Map([...u32(D.near.of)].map((p, i) => [p, i])), to: u32(D.near.to) };
const pick = (i, centre) => {
  picked = i;
  const d = $("detail");
  d.replaceChildren();
  if (i < 0) { marks(); return; }
  if (centre) { box.x = view.xy[2 * i]; box.y = view.xy[2 * i + 1]; }
  const top = el("div", { className: "picked" });
  if (thumbs && thumbs.tiles[i] >= 0) top.append(tile(thumbs, thumbs.tiles[i], 120));
  top.append(el("div", {}, el("h3", {}, name(i)), ...describe(i).map(s => el("div", {}, s))));
  d.append(top);
  const list = near && near.of.get(i);
  if (list !== undefined && list !== null && list !== false) {
    const them = [...near.to.subarray(list * near.k, (list + 1) * near.k)];
    d.append(el("h3", {}, "Nearest by components"), el("div", { className: "cards" }, ...them.map(card)));
  } else if (near) {
    d.append(el("p", { className: "quiet" }, "Neighbours were computed for the points with a thumbnail only: fruitcore neighbors finds them for any picture."));
  }
  redraw();
};
const select = (set, what) => {
  selected = set;
  const s = $("selection");
  s.replaceChildren();
  if (set) {
    const all = [...set], by = new Map();
    for (const i of all) by.set(labelOf(colour, i), (by.get(labelOf(colour, i)) || 0) + 1);
    const top = [...by].sort((a, b) => b[1] - a[1]).slice(0, 12).map(([k, v]) => `${k} ${count(v)}`).join(" · ");
    const save = () => {
      const cell = t => '"' + String(t).replace(/"/g, '""') + '"';
      const rows = [["path", ...colours.map(c => c.id)], ...all.map(i => [name(i), ...colours.map(c => labelOf(c, i))])];
      const url = URL.createObjectURL(new Blob([rows.map(r => r.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" }));
      el("a", { href: url, download: "selection.csv" }).click();
    };
    s.append(el("h3", {}, `${count(all.length)} ${what}`), el("p", { className: "quiet" }, top),
      el("p", {}, el("button", { type: "button", onclick: () => select(null) }, "Clear"), " ", el("button", { type: "button", onclick: save }, "Save names as CSV")),
      el("div", { className: "cards" }, ...all.slice(0, 48).map(card)));
    if (all.length > 48) s.append(el("p", { className: "quiet" }, `The first 48 are shown.`));
  }
  redraw();
};
const inside = (poly, x, y) => {
  let odd = false;
  for (let i = 0, j = poly.length - 1; i < poly.length; j = i++) {
    const [xi, yi] = poly[i], [xj, yj] = poly[j];
    if (yi > y !== yj > y && x < (xj - xi) * (y - yi) / (yj - yi) + xi) odd = !odd;
  }
  return odd;
};

// ---- controls ----------------------------------------------------------------------------------
const glyph = i => {
  const s = style(i), g = svg("svg", { width: 16, height: 16, viewBox: "-1.3 -1.3 2.6 2.6", "aria-hidden": "true" });
  const shapes = [["circle", { r: 1 }], ["rect", { x: -.86, y: -.86, width: 1.72, height: 1.72 }], ["path", { d: "M0-1.2 1.04.6H-1.04Z" }],
    ["path", { d: "M0-1.15 1.15 0 0 1.15-1.15 0Z" }], ["path", { d: "M-.32-1.05H.32V-.32H1.05V.32H.32V1.05H-.32V.32H-1.05V-.32H-.32Z" }], ["path", { d: "M0 1.2 1.04-.6H-1.04Z" }]];
  const [tag, attrs] = shapes[s.shape];
  g.append(svg(tag, { ...attrs, fill: s.colour }));
  return g;
};
const legend = () => {
  const box = $("legend"), counts = new Map();
  for (let i = 0; i < n; i++) counts.set(colour.of[i], (counts.get(colour.of[i]) || 0) + 1);
  const set = off => { hidden = off ? new Set([...counts.keys()]) : new Set(); legend(); redraw(); };
  box.replaceChildren(el("div", { className: "top" },
    el("button", { type: "button", onclick: () => set(false) }, "All"), el("button", { type: "button", onclick: () => set(true) }, "None")));
  const keys = [...colour.names.keys()].filter(i => counts.has(i));
  if (counts.has(NONE)) keys.push(NONE);
  for (const i of keys) {
    const b = el("button", { type: "button", className: "key" });
    b.setAttribute("aria-pressed", !hidden.has(i));
    if (i !== NONE) b.append(glyph(i));
    b.append(el("span", {}, i === NONE ? "none" : colour.names[i]), el("small", {}, count(counts.get(i))));
    b.onclick = () => { hidden.has(i) ? hidden.delete(i) : hidden.add(i); b.setAttribute("aria-pressed", !hidden.has(i)); redraw(); };
    box.append(b);
  }
};
const caption = () => {
  $("caption").textContent = view.caption + (colour.names.length > 8 ? " Colours repeat with other shapes; hover tells them apart for certain." : "");
  canvas.setAttribute("aria-label", `${view.name}: ${count(n)} points coloured by ${colour.name.toLowerCase()}. ${view.caption}`);
};
let mode = "pan";
const setMode = m => {
  mode = m;
  $("pan").setAttribute("aria-pressed", m === "pan"); $("lasso").setAttribute("aria-pressed", m === "lasso");
  canvas.classList.toggle("lasso", m === "lasso");
};
const here = e => {
  const r = canvas.getBoundingClientRect();
  return [(e.clientX - r.left) * W / r.width, (e.clientY - r.top) * H / r.height];
};
const setUpMap = () => {
  $("map").hidden = false;
  sx = new Float32Array(n); sy = new Float32Array(n); shown = new Uint8Array(n);
  for (const v of views) {
    const b = el("button", { type: "button", onclick: () => {
      view = v;
      for (const o of $("views").children) o.setAttribute("aria-pressed", o === b);
      fit(); caption(); redraw();
    } }, v.name);
    b.setAttribute("aria-pressed", v === view);
    $("views").append(b);
  }
  for (const c of colours) $("colour").append(el("option", { value: c.id }, c.name));
  $("colour").onchange = e => { colour = colours.find(c => c.id === e.target.value); hidden = new Set(); legend(); caption(); redraw(); };
  $("pan").onclick = () => setMode("pan"); $("lasso").onclick = () => setMode("lasso");
  $("in").onclick = () => zoom(1.5); $("out").onclick = () => zoom(1 / 1.5); $("fit").onclick = () => { fit(); redraw(); };
  let wait;
  $("search").oninput = e => {
    clearTimeout(wait);
    const words = e.target.value.trim().toLowerCase();
    wait = setTimeout(() => {
      if (!words) return select(null);
      const hits = new Set();
      for (let i = 0; i < n; i++) if (name(i).toLowerCase().includes(words) || labelOf(colour, i).toLowerCase().includes(words)) hits.add(i);
      select(hits, `found for “${words}”`);
    }, 120);
  };
  const pointers = new Map();
  let start = null, spread = 0;
  canvas.onpointerdown = e => {
    canvas.setPointerCapture(e.pointerId);
    pointers.set(e.pointerId, here(e));
    start = { at: here(e), x: box.x, y: box.y, moved: false };
    if (mode === "lasso" && pointers.size === 1) path = [here(e)];
    if (pointers.size === 2) { path = null; const [a, b] = [...pointers.values()]; spread = Math.hypot(a[0] - b[0], a[1] - b[1]); }
  };
  canvas.onpointermove = e => {
    const p = here(e);
    if (!pointers.has(e.pointerId)) {
      const i = at(...p);
      if (i !== hover) { hover = i; marks(); }
      const r = canvas.getBoundingClientRect();
      tip(i, e.clientX - r.left, e.clientY - r.top);
      return;
    }
    pointers.set(e.pointerId, p);
    if (pointers.size === 2) {
      const [a, b] = [...pointers.values()], now = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) zoom(now / spread, (a[0] + b[0]) / 2, (a[1] + b[1]) / 2);
      spread = now; start.moved = true;
      return;
    }
    if (Math.hypot(p[0] - start.at[0], p[1] - start.at[1]) > 4 * dpr) start.moved = true;
    if (path) { path.push(p); marks(); }
    else if (start.moved) { box.x = start.x - (p[0] - start.at[0]) / box.scale; box.y = start.y + (p[1] - start.at[1]) / box.scale; tip(-1); moving(); }
  };
  const up = e => {
    if (!pointers.delete(e.pointerId) || !start) return;
    if (path && path.length > 2 && start.moved) {
      const poly = path; path = null;
      const set = new Set();
      for (let i = 0; i < n; i++) if (shown[i] && inside(poly, sx[i], sy[i])) set.add(i);
      select(set.size ? set : null, "in the lasso");
    } else if (!start.moved) {
      const i = at(...here(e)); path = null;
      pick(i);
      if (e.pointerType === "touch") { const r = canvas.getBoundingClientRect(); tip(i, e.clientX - r.left, e.clientY - r.top); }
    }
    path = null;
    if (!pointers.size) start = null;
    marks();
  };
  canvas.onpointerup = up; canvas.onpointercancel = up;
  canvas.onpointerleave = () => { hover = -1; tip(-1); marks(); };
  canvas.addEventListener("wheel", e => {
    if (document.activeElement !== canvas && !e.ctrlKey) return;
    e.preventDefault();
    zoom(Math.exp(-e.deltaY * 0.0015), ...here(e));
  }, { passive: false });
  canvas.onkeydown = e => {
    const step = 60 * dpr / box.scale;
    const keys = { ArrowLeft: () => box.x -= step, ArrowRight: () => box.x += step, ArrowUp: () => box.y += step, ArrowDown: () => box.y -= step,
      "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: fit, Escape: () => { pick(-1); select(null); },
      Enter: () => {
        let best = -1, d = Infinity;
        for (let i = 0; i < n; i++) if (shown[i]) { const q = (sx[i] - W / 2) ** 2 + (sy[i] - H / 2) ** 2; if (q < d) { d = q; best = i; } }
        pick(best);
      } };
    if (!keys[e.key] || e.ctrlKey || e.metaKey) return;
    e.preventDefault(); keys[e.key](); redraw();
  };
  new ResizeObserver(() => { const k = box.scale / box.home || 1; const { x, y } = box; size(); fit(); if (k !== 1) Object.assign(box, { x, y, scale: box.home * k }); draw(); }).observe(canvas);
  size(); fit(); legend(); caption(); draw();
};

// ---- tables and figures ------------------------------------------------------------------------
const table = (head, rows, numeric = []) => {
  const cell = (tag, t, i) => el(tag, { className: numeric.includes(i) ? "n" : "wrap" }, t);
  return el("div", { className: "scroll", tabIndex: 0, role: "region" }, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map((h, i) => cell("th", h, i)))),
    el("tbody", {}, ...rows.map(r => el("tr", {}, ...r.map((c, i) => cell("td", c, i)))))));
};
const facts = list => el("ul", { className: "facts" }, ...list.map(([k, v]) => el("li", {}, k + " ", el("b", {}, v))));
const fold = (title, ...children) => el("details", {}, el("summary", {}, title), ...children);
const mix = t => {
  const a = rgb(theme === "dark" ? "#1c2025" : "#ffffff"), b = rgb(theme === "dark" ? "#56b4e9" : "#0072b2");
  return [a.map((v, i) => Math.round(v + (b[i] - v) * t)), t > 0.5 ? (theme === "dark" ? "#10151a" : "#fff") : ""];
};
const repaint = [];
// Rows against columns; each cell that holds points selects them.
const heat = (m, rowName, columnName, choose, diagonal) => {
  const cells = new Map(m.cells.map(([r, c, v]) => [r * m.columns.length + c, v]));
  const sums = m.rows.map((_, r) => m.cells.filter(c => c[0] === r).reduce((s, c) => s + c[2], 0));
  if (m.rows.length * m.columns.length > 6000) return null;
  const head = el("tr", {}, el("th", {}, `${rowName} ╲ ${columnName}`), ...m.columns.map(c => el("th", { scope: "col" }, c)));
  const body = m.rows.map((name, r) => el("tr", {}, el("th", { scope: "row" }, name), ...m.columns.map((column, c) => {
    const v = cells.get(r * m.columns.length + c) || 0, td = el("td", {});
    if (v) {
      const b = el("button", { type: "button", onclick: () => choose(r, c) }, count(v));
      b.setAttribute("aria-label", `${count(v)} of ${rowName} ${name}, ${columnName} ${column}`);
      td.append(b);
      const paint = () => { const [f, ink] = mix(0.08 + 0.92 * v / Math.max(1, sums[r])); td.style.background = `rgb(${f})`; td.style.color = ink; };
      paint(); repaint.push(paint);
      if (diagonal && r === c) td.style.fontWeight = "600";
    }
    return td;
  })));
  return el("div", { className: "scroll heat", tabIndex: 0, role: "region", ariaLabel: `${rowName} against ${columnName}` }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
};
const both = (a, r, b, c) => {
  const set = new Set();
  for (let i = 0; i < n; i++) if (a.of[i] === r && b.of[i] === c) set.add(i);
  select(set, set.size ? `in ${a.name.toLowerCase()} ${a.names[r]} and ${b.name.toLowerCase()} ${b.names[c]}` : "of these points are in the drawn sample");
  $("selection").scrollIntoView({ behavior: "smooth", block: "center" });
};
const colourBy = id => colours.find(c => c.id === id);
// A line or bars over 1…; `line` is drawn over the bars on the same axis from 0 to 1.
const plot = (label, xs, bars, line, xTitle) => {
  const w = 760, h = 300, l = 46, b = 40, t = 12, r = 12;
  const low = Math.min(0, ...line, ...(bars || [])), high = Math.max(1e-9, ...line, ...(bars || []));
  const x = i => l + (i + 0.5) * (w - l - r) / xs.length, y = v => t + (high - v) / (high - low) * (h - t - b);
  const g = svg("svg", { class: "fig", viewBox: `0 0 ${w} ${h}`, role: "img", "aria-label": label });
  for (let k = 0; k <= 4; k++) {
    const v = low + (high - low) * k / 4;
    g.append(svg("line", { x1: l, x2: w - r, y1: y(v), y2: y(v), stroke: "currentColor", "stroke-opacity": 0.15 }), svg("text", { x: l - 7, y: y(v) + 4, "text-anchor": "end" }, v.toFixed(2)));
  }
  if (bars) bars.forEach((v, i) => g.append(svg("rect", { x: x(i) - 0.36 * (w - l - r) / xs.length, width: 0.72 * (w - l - r) / xs.length, y: y(v), height: Math.max(0, y(0) - y(v)), fill: "#0072b2" }, svg("title", {}, `${xs[i]}: ${v.toFixed(4)}`))));
  g.append(svg("polyline", { points: line.map((v, i) => `${x(i)},${y(v)}`).join(" "), fill: "none", stroke: "#d55e00", "stroke-width": 2.5 }));
  if (line.length < 60) line.forEach((v, i) => g.append(svg("circle", { cx: x(i), cy: y(v), r: 3, fill: "#d55e00" }, svg("title", {}, `${xs[i]}: ${v.toFixed(4)}`))));
  const every = Math.ceil(xs.length / 16);
  xs.forEach((v, i) => { if (i % every === 0) g.append(svg("text", { x: x(i), y: h - b + 18, "text-anchor": "middle" }, v)); });
  g.append(svg("text", { x: (l + w - r) / 2, y: h - 4, "text-anchor": "middle" }, xTitle));
  return g;
};
const show = (id, ...children) => { $(id).hidden = false; ($(id + "-body") || $(id)).append(...children.filter(Boolean)); };

$("subtitle").textContent = D.subtitle;
for (const [k, v] of D.facts) $("facts").append(el("div", {}, el("dt", {}, k), el("dd", {}, v)));
for (const t of D.notes) $("notes").append(el("li", {}, t));
if (n) setUpMap();
if (gallery) {
  $("gallery-note").textContent = gallery.note;
  const strips = new Map();
  for (const item of gallery.items) {
    if (!strips.has(item.class)) strips.set(item.class, el("div", { className: "strip" }, el("h3", {}, item.class)));
    strips.get(item.class).append(el("figure", {}, ...item.tiles.map(([t, what]) => { const b = tile(gallery, t, 64); b.setAttribute("role", "img"); b.setAttribute("aria-label", `${what} of ${item.name}`); b.title = what; return b; }), el("figcaption", {}, item.name)));
  }
  show("gallery", el("div", { className: "strips" }, ...strips.values()));
}
if (D.classes.length) {
  const most = Math.max(...D.counts), bars = el("div", { className: "bars" });
  D.classes.forEach((c, i) => {
    const fill = el("i", {}); fill.style.width = 100 * D.counts[i] / most + "%";
    bars.append(el("span", {}, c), el("div", { className: "track", ariaHidden: "true" }, fill), el("span", { className: "num" }, count(D.counts[i])));
  });
  const all = D.counts.reduce((a, b) => a + b, 0);
  show("balance", facts([["Classes", count(D.classes.length)], ["smallest", count(Math.min(...D.counts))], ["largest", count(most)], ["with a label", count(all)]]), el("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Pictures of each class" }, bars));
}
if (D.scree.length) {
  let sum = 0;
  const cumulative = D.scree.map(v => sum += v), xs = D.scree.map((_, i) => i + 1);
  show("scree", el("p", { className: "quiet" }, `Bars: fraction of the variance each component explains. Line: their sum, ${percent(sum)} with ${xs.length} components.`),
    plot("Explained variance of each component and cumulative", xs, D.scree, cumulative, "component"),
    fold("As a table", table(["component", "explained", "cumulative"], xs.map((x, i) => [x, percent(D.scree[i]), percent(cumulative[i])]), [0, 1, 2])));
}
if (D.clusters) {
  const c = D.clusters;
  show("clusters", facts(c.facts));
  if (c.curve.length > 1) show("clusters", el("h3", {}, "Silhouette by number of clusters"), plot("Mean silhouette for each number of clusters", c.curve.map(x => x[0]), null, c.curve.map(x => x[1]), "clusters"), fold("As a table", table(["clusters", "silhouette"], c.curve.map(x => [x[0], x[1].toFixed(4)]), [0, 1])));
  if (c.matrix) {
    const m = heat(c.matrix, "class", "cluster", (r, k) => both(colourBy("class"), r, colourBy("cluster"), k));
    show("clusters", el("h3", {}, "Clusters by class"), m || el("p", { className: "quiet" }, "Too many classes and clusters for a table: clusters.csv has them."));
  }
  for (const t of c.notes) show("clusters", el("p", { className: "quiet" }, t));
}
if (D.confusion) {
  const c = D.confusion, go = (r, k) => both(colourBy("class"), r, colourBy("prediction"), k);
  show("confusion", facts(c.facts), el("h3", {}, "Classes by prediction"), heat(c.matrix, "class", "predicted", go, true));
  const wrong = c.matrix.cells.filter(x => c.matrix.rows[x[0]] !== c.matrix.columns[x[1]]).sort((a, b) => b[2] - a[2]).slice(0, 40);
  if (wrong.length) show("confusion", el("h3", {}, "Most confused"), table(["class", "taken for", "pictures"], wrong.map(x => [c.matrix.rows[x[0]], c.matrix.columns[x[1]], el("button", { type: "button", onclick: () => go(x[0], x[1]) }, count(x[2]))]), [2]));
}
if (D.rejects) show("rejects", facts([["Rejected", count(D.rejects.total)]]), D.rejects.rows.length ? table(["picture", "stage", "reason"], D.rejects.rows) : "", D.rejects.rows.length < D.rejects.total ? el("p", { className: "quiet" }, `The first ${count(D.rejects.rows.length)} are shown; rejects.csv names all.`) : "");
if (D.timings.length || D.options.length) {
  if (D.timings.length) show("run", el("h3", {}, "Seconds by stage"), el("p", { className: "quiet" }, "Work summed over threads."), table(["stage", "seconds"], D.timings.map(([k, v]) => [k, v.toFixed(2)]), [1]));
  if (D.options.length) show("run", fold("What was asked", table(["option", "value"], D.options)));
}
$("footer").textContent = D.made;
const applyTheme = () => {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
  repaint.forEach(f => f());
  if (n) { legend(); draw(); }
};
$("theme").onclick = () => { theme = theme === "dark" ? "light" : "dark"; applyTheme(); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", e => { theme = e.matches ? "dark" : "light"; applyTheme(); });
applyTheme();
// For tests: where a point is on the page, and what is hovered and selected.
window.fruitcoreReport = {
  place: i => { const r = canvas.getBoundingClientRect(); return [r.left + sx[i] * r.width / W, r.top + sy[i] * r.height / H]; },
  state: () => ({ points: n, hover, picked, hoverName: hover < 0 ? null : name(hover), selected: selected ? selected.size : 0, shown: n ? shown.reduce((a, b) => a + b, 0) : 0, view: view && view.id, zoom: box.scale / box.home }),
  time: () => { const t = performance.now(); draw(); return performance.now() - t; },
};
})();
