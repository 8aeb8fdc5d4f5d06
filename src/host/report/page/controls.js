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

// ---- controls ----------------------------------------------------------------------------------
const glyph = i => {
  const s = style(i), g = svg("svg", { width: 16, height: 16, viewBox: "-1.3 -1.3 2.6 2.6", "aria-hidden": "true" });
  const shapes = [["circle", { r: 1 }], ["rect", { x: -.86, y: -.86, width: 1.72, height: 1.72 }], ["path", { d: "M0-1.2 1.04.6H-1.04Z" }],
    ["path", { d: "M0-1.15 1.15 0 0 1.15-1.15 0Z" }], ["path", { d: "M-.32-1.05H.32V-.32H1.05V.32H.32V1.05H-.32V.32H-1.05V-.32H-.32Z" }], ["path", { d: "M0 1.2 1.04-.6H-1.04Z" }]];
  const [tag, attrs] = shapes[s.shape];
  g.append(svg(tag, { ...attrs, fill: s.colour }));
  return g;
};
let filter = "";
const legend = () => {
  const box = $("legend"), counts = new Map();
  for (let i = 0; i < n; i++) counts.set(colour.of[i], (counts.get(colour.of[i]) || 0) + 1);
  const keys = [...colour.names.keys()].filter(i => counts.has(i));
  if (counts.has(NONE)) keys.push(NONE);
  const all = off => { hidden = off ? new Set(keys) : new Set(); list(); redraw(); };
  const top = el("div", { className: "top" },
    el("button", { type: "button", onclick: () => all(false) }, "All"), el("button", { type: "button", onclick: () => all(true) }, "None"));
  const entries = el("div", { className: "keys" });
  const list = () => {
    entries.replaceChildren();
    for (const i of keys) {
      const name = i === NONE ? "none" : colour.names[i];
      if (!name.toLowerCase().includes(filter)) continue;
      const b = el("button", { type: "button", className: "key", title: "Shows or hides; a double click, or O, shows this one only" });
      b.setAttribute("aria-pressed", !hidden.has(i));
      if (i !== NONE) b.append(glyph(i));
      b.append(el("span", {}, name), el("small", {}, count(counts.get(i))));
      const only = () => { hidden = new Set(keys.filter(k => k !== i)); list(); redraw(); };
      const light = on => { lit = on ? i : null; redraw(); };
      b.onclick = () => { hidden.has(i) ? hidden.delete(i) : hidden.add(i); b.setAttribute("aria-pressed", !hidden.has(i)); redraw(); };
      b.ondblclick = only;
      b.onkeydown = e => { if (e.key === "o") only(); };
      b.onpointerenter = e => { if (e.pointerType !== "touch" && !hidden.has(i)) light(true); };
      b.onpointerleave = () => light(false);
      entries.append(b);
    }
  };
  box.replaceChildren(top);
  filter = "";
  if (keys.length > 24) {
    const find = el("input", { type: "search", placeholder: `find in ${count(keys.length)}`, oninput: e => { filter = e.target.value.trim().toLowerCase(); list(); } });
    find.setAttribute("aria-label", "Find in the legend");
    top.append(find);
  }
  list();
  box.append(entries);
};
const caption = () => {
  $("caption").textContent = view.caption + (colour.names.length > 48 ? " Colours and shapes repeat: point at a name of the legend to see its points, or at a point to see its name." : colour.names.length > 8 ? " Colours repeat with other shapes." : "");
  canvas.setAttribute("aria-label", `${view.name}: ${count(n)} points coloured by ${colour.name.toLowerCase()}. ${view.caption}`);
};
let mode = "pan";
const setMode = m => {
  mode = m;
  $("pan").setAttribute("aria-pressed", m === "pan"); $("lasso").setAttribute("aria-pressed", m === "lasso");
  canvas.classList.toggle("lasso", m === "lasso");
};
const setColour = id => { colour = colourBy(id); $("colour").value = id; hidden = new Set(); lit = null; legend(); caption(); redraw(); };
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
  $("colour").onchange = e => setColour(e.target.value);
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
