// ---- points ------------------------------------------------------------------------------------
const n = D.n, dir = n ? u32(D.dir) : [];
const name = i => D.dirs[dir[i]] + D.files[i];
const NONE = 0xffffffff;
const colours = D.colours.map(c => {
  const of = c.wide ? u32(c.of) : Uint32Array.from(u16(c.of), v => v === 0xffff ? NONE : v);
  return { ...c, of, sure: c.sure && bytes(c.sure) };
});
const colourBy = id => colours.find(c => c.id === id);
const [truth, answer] = ["class", "prediction"].map(colourBy);
// Where both are known: a class and its prediction have the same number.
if (truth && answer) colours.push({ id: "right", name: "Right or wrong", names: ["right", "wrong"], derived: true,
  of: truth.of.map((c, i) => c === NONE || answer.of[i] === NONE ? NONE : c === answer.of[i] ? 0 : 1) });
const labelOf = (c, i) => c.of[i] === NONE ? "none" : c.names[c.of[i]];
const views = D.views.map(v => ({ ...v, xy: f32(v.xy) }));
let view = views[views.length - 1], colour = colours[0];
// `lit`: the legend entry under the pointer; its points stay in colour, the others fade.
let hidden = new Set(), selected = null, picked = -1, hover = -1, lit = null;
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
// A mark's pixels as offsets in the picture: those it covers, and those at its edge with how much.
const masks = new Map();
const mask = (shape, r) => {
  const key = shape + ":" + r + ":" + W;
  if (masks.has(key)) return masks.get(key);
  if (masks.size > 64) masks.clear();
  const half = Math.ceil(r * 1.25), all = [];
  for (let y = -half; y <= half; y++) for (let x = -half; x <= half; x++) {
    const alpha = Math.round(Math.max(0, Math.min(1, 0.5 - shapeDistance(shape, x / r, y / r) * r)) * 225);
    if (alpha) all.push([x, y, alpha]);
  }
  // Of many points the inner pixels hide what is below, which takes a fraction of the time.
  const solid = all.filter(p => n > 30000 && p[2] === 225), soft = all.filter(p => !(n > 30000 && p[2] === 225));
  const offsets = of => Int32Array.from(of, ([x, y]) => y * W + x);
  const m = { half, solid: offsets(solid), soft: offsets(soft), alpha: Uint8Array.from(soft, p => p[2]), xs: Int32Array.from([...solid, ...soft], p => p[0]) };
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
let queued = false, stride = 1, settle, cost = 0;
// While a map moves that takes longer than a frame, part of its points is drawn; all of them once it
// rests.
const moving = () => {
  if (cost > 14) {
    stride = Math.min(64, Math.ceil(cost / 8));
    clearTimeout(settle);
    settle = setTimeout(() => { stride = 1; redraw(); }, 160);
  }
  redraw();
};
const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(() => { queued = false; draw(); }); } };
const draw = () => {
  if (!n) return;
  const begun = performance.now();
  const buffer = image.data, words = new Uint32Array(buffer.buffer);
  const back = rgb(theme === "dark" ? "#181b1f" : "#ffffff");
  words.fill(0xff000000 | back[2] << 16 | back[1] << 8 | back[0]);
  const r = Math.round(radius() * dpr * 4) / 4, p = view.xy;
  const looks = colour.names.map((_, i) => style(i)), faint = rgb(theme === "dark" ? "#4b535c" : "#c3c9cf");
  const none = { rgb: rgb("#8a8f94"), mask: mask(0, r * 0.7) };
  const glyphs = looks.map(l => ({ rgb: rgb(l.colour), mask: mask(l.shape, r) }));
  shown.fill(0);
  const drawAll = front => {
    for (let i = 0; i < n; i += stride) {
      const c = colour.of[i];
      if (hidden.has(c)) continue;
      const isFront = lit === null ? !selected || selected.has(i) : c === lit;
      if (isFront !== front) continue;
      const x = Math.round((p[2 * i] - box.x) * box.scale + W / 2), y = Math.round(H / 2 - (p[2 * i + 1] - box.y) * box.scale);
      sx[i] = x; sy[i] = y;
      const g = c === NONE ? none : glyphs[c], { half, solid, soft, alpha, xs } = g.mask;
      if (x < -half || y < -half || x >= W + half || y >= H + half) continue;
      shown[i] = 1;
      const [R, G, B] = isFront ? g.rgb : faint, word = 0xff000000 | B << 16 | G << 8 | R;
      const base = y * W + x, inside = x >= half && x < W - half, pixels = words.length;
      for (let k = 0; k < solid.length; k++) {
        const at = base + solid[k];
        if (inside ? at >= 0 && at < pixels : at >= 0 && at < pixels && x + xs[k] >= 0 && x + xs[k] < W) words[at] = word;
      }
      for (let k = 0; k < soft.length; k++) {
        const at = base + soft[k];
        if (at < 0 || at >= pixels || !(inside || x + xs[solid.length + k] >= 0 && x + xs[solid.length + k] < W)) continue;
        const a = alpha[k], q = at << 2;
        buffer[q] += (R - buffer[q]) * a >> 8;
        buffer[q + 1] += (G - buffer[q + 1]) * a >> 8;
        buffer[q + 2] += (B - buffer[q + 2]) * a >> 8;
      }
    }
  };
  if (selected || lit !== null) drawAll(false);
  drawAll(true);
  canvas.getContext("2d").putImageData(image, 0, 0);
  if (stride === 1) cost = performance.now() - begun;
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
  // A few selected among many would be lost.
  if (selected && selected.size <= 60) selected.forEach(i => ring(i, 1));
  ring(hover, 1.5); ring(picked, 3);
  if (path && path.length > 1) {
    g.beginPath(); path.forEach(([x, y], i) => i ? g.lineTo(x, y) : g.moveTo(x, y)); g.closePath();
    g.fillStyle = "#0072b233"; g.fill(); g.strokeStyle = theme === "dark" ? "#8ccdf5" : "#0072b2"; g.lineWidth = 1.5 * dpr; g.stroke();
  }
};
// Points in cells of a grid, in one array: cell c holds list[start[c] … start[c + 1]].
const CELL = 24;
const buildGrid = () => {
  const columns = Math.ceil(W / CELL) + 1, rows = Math.ceil(H / CELL) + 1, start = new Uint32Array(columns * rows + 1), of = new Int32Array(n).fill(-1);
  for (let i = 0; i < n; i++) {
    if (!shown[i] || sx[i] < 0 || sy[i] < 0 || sx[i] >= W || sy[i] >= H) continue;
    start[1 + (of[i] = Math.floor(sy[i] / CELL) * columns + Math.floor(sx[i] / CELL))]++;
  }
  for (let c = 0; c < columns * rows; c++) start[c + 1] += start[c];
  const list = new Uint32Array(start[columns * rows]), next = start.slice();
  for (let i = 0; i < n; i++) if (of[i] >= 0) list[next[of[i]]++] = i;
  return { columns, rows, start, list };
};
const at = (x, y) => {
  grid = grid || buildGrid();
  const { columns, rows, start, list } = grid;
  let best = -1, near = (12 * dpr) ** 2;
  const cx = Math.floor(x / CELL), cy = Math.floor(y / CELL);
  for (let v = cy - 1; v <= cy + 1; v++) for (let u = cx - 1; u <= cx + 1; u++) {
    if (u < 0 || v < 0 || u >= columns || v >= rows) continue;
    for (let k = start[v * columns + u]; k < start[v * columns + u + 1]; k++) {
      const i = list[k];
      if (selected && !selected.has(i)) continue;
      const d = (sx[i] - x) ** 2 + (sy[i] - y) ** 2;
      if (d < near) { near = d; best = i; }
    }
  }
  return best;
};
