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
// Rows against columns, each row shaded by its share; a cell that holds pictures selects them. `choose`
// may be missing.
const heat = (m, rowName, columnName, choose, diagonal) => {
  const cells = new Map(m.cells.map(([r, c, v]) => [r * m.columns.length + c, v]));
  const sums = new Float64Array(m.rows.length);
  for (const [r, , v] of m.cells) sums[r] += v;
  const grid = { m, rowName, columnName, choose, diagonal, value: (r, c) => cells.get(r * m.columns.length + c) || 0, share: (r, v) => v / Math.max(1, sums[r]) };
  return m.rows.length > 32 || m.columns.length > 32 ? largeHeat(grid) : smallHeat(grid);
};
const smallHeat = ({ m, rowName, columnName, choose, diagonal, value, share }) => {
  const head = el("tr", {}, el("th", {}, `${rowName} ╲ ${columnName}`), ...m.columns.map(c => el("th", { scope: "col" }, c)));
  const body = m.rows.map((name, r) => el("tr", {}, el("th", { scope: "row", title: name }, name), ...m.columns.map((column, c) => {
    const v = value(r, c), td = el("td", { className: diagonal && r === c ? "same" : "" });
    if (v) {
      const text = `${count(v)} of ${rowName} ${name}, ${columnName} ${column}`;
      const b = choose ? el("button", { type: "button", onclick: () => choose(r, c), title: text, ariaLabel: text }, count(v)) : el("span", { title: text }, count(v));
      td.append(b);
      const paint = () => { const [f, ink] = mix(0.08 + 0.92 * share(r, v)); td.style.background = `rgb(${f})`; td.style.color = ink; };
      paint(); repaint.push(paint);
    }
    return td;
  })));
  return el("div", { className: "scroll heat", tabIndex: 0, role: "region", ariaLabel: `${rowName} against ${columnName}` }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...body)));
};
// Too many cells for a table: one canvas, read cell by cell with the pointer or the arrow keys.
const largeHeat = ({ m, rowName, columnName, choose, diagonal, value, share }) => {
  const rows = m.rows.length, columns = m.columns.length, side = columns <= 200 && rows <= 400 ? 9 : 3, gutter = side > 3 ? (innerWidth < 720 ? 110 : 150) : 0;
  const width = gutter + columns * side, height = rows * side, ratio = Math.min(2, devicePixelRatio || 1);
  const canvas = el("canvas", { width: width * ratio, height: height * ratio, tabIndex: 0, role: "application",
    ariaLabel: `${count(rows)} × ${count(columns)}: ${rowName} against ${columnName}. Arrow keys move from cell to cell${choose ? ", Enter shows its pictures" : ""}.` });
  canvas.style.width = width + "px"; canvas.style.height = height + "px";
  const said = el("p", { className: "quiet said", ariaLive: "polite" }, `Rows: ${rowName}. Columns: ${columnName}. Point at a cell to read it${choose ? ", click to see its pictures" : ""}.`);
  let cell = null;
  const paint = () => {
    const g = canvas.getContext("2d"), css = getComputedStyle(document.documentElement);
    g.setTransform(ratio, 0, 0, ratio, 0, 0);
    g.clearRect(0, 0, width, height);
    const fill = t => { g.fillStyle = `rgb(${mix(t)[0]})`; };
    const box = (r, c) => g.fillRect(gutter + c * side, r * side, side - (side > 4), side - (side > 4));
    fill(0.05); g.fillRect(gutter, 0, width - gutter, height);
    if (diagonal) { fill(0.16); for (let i = 0; i < Math.min(rows, columns); i++) box(i, i); }
    for (const [r, c, v] of m.cells) { fill(0.3 + 0.7 * share(r, v)); box(r, c); }
    if (gutter) {
      g.font = "9px system-ui,sans-serif"; g.textAlign = "right"; g.textBaseline = "middle";
      m.rows.forEach((name, r) => {
        g.fillStyle = css.getPropertyValue(cell && cell[0] === r ? "--ink" : "--soft");
        g.fillText(name.length > 28 ? name.slice(0, 27) + "…" : name, gutter - 5, (r + 0.5) * side, gutter - 6);
      });
    }
    if (cell) {
      g.strokeStyle = theme === "dark" ? "#fff" : "#000"; g.lineWidth = 1;
      g.strokeRect(gutter - 1, cell[0] * side - 0.5, width - gutter + 2, side); g.strokeRect(gutter + cell[1] * side - 0.5, -1, side, height + 2);
    }
  };
  const go = (r, c) => {
    cell = [Math.max(0, Math.min(rows - 1, r)), Math.max(0, Math.min(columns - 1, c))];
    said.textContent = `${rowName} ${m.rows[cell[0]]}, ${columnName} ${m.columns[cell[1]]}: ${count(value(...cell))}`;
    paint();
  };
  // The nearest cell that holds something within a finger's reach: cells are smaller than fingertips.
  const under = e => {
    const b = canvas.getBoundingClientRect(), y = (e.clientY - b.top) / side, x = (e.clientX - b.left - gutter) / side, reach = e.pointerType === "touch" ? 2.5 : 0;
    let best = [Math.floor(y), Math.floor(x)], d = reach * reach;
    if (reach) for (const [r, c] of m.cells) { const q = (r + 0.5 - y) ** 2 + (c + 0.5 - x) ** 2; if (q < d) { d = q; best = [r, c]; } }
    return best;
  };
  const take = () => { if (choose && cell && value(...cell)) choose(...cell); };
  canvas.onpointermove = e => go(...under(e));
  canvas.onclick = e => { go(...under(e)); take(); };
  canvas.onkeydown = e => {
    const [r, c] = cell || [0, 0], to = { ArrowUp: [r - 1, c], ArrowDown: [r + 1, c], ArrowLeft: [r, c - 1], ArrowRight: [r, c + 1] }[e.key];
    if (to) { e.preventDefault(); go(...to); } else if (e.key === "Enter") take();
  };
  paint(); repaint.push(paint);
  return el("div", {}, said, el("div", { className: "scroll grid" }, canvas));
};
// Selects the points with all of these values.
const both = (...pairs) => {
  const set = new Set();
  for (let i = 0; i < n; i++) if (pairs.every(([c, v]) => c.of[i] === v)) set.add(i);
  const names = pairs.map(([c, v]) => `${c.name.toLowerCase()} ${c.names[v]}`).join(", ");
  select(set, set.size ? `of ${names}` : `of ${names} are among the points drawn`);
  $("selection").scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "center" });
};
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
