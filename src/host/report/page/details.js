// ---- details -----------------------------------------------------------------------------------
const describe = i => colours.filter(c => !c.derived).map(c => {
  const p = c.sure && c.of[i] !== NONE && c.sure[i] !== 255 ? ` (${c.sure[i]} %)` : "";
  return `${c.name}: ${labelOf(c, i)}${p}`;
});
const wrong = i => truth && answer && truth.of[i] !== NONE && answer.of[i] !== NONE && truth.of[i] !== answer.of[i];
const card = i => {
  const b = el("button", { type: "button", className: "card", onclick: () => pick(i, true) });
  if (thumbs) b.append(tile(thumbs, thumbs.tiles[i], 82));
  b.append(el("span", {}, D.files[i]), el("span", { className: "num" }, labelOf(colour.derived ? truth : colour, i)));
  if (wrong(i)) b.append(el("span", { className: "wrong" }, (colour === answer ? "is " + labelOf(truth, i) : "taken for " + labelOf(answer, i))));
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
