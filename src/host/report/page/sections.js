const show = (id, ...children) => { $(id).hidden = false; ($(id + "-body") || $(id)).append(...children.filter(Boolean)); };

$("subtitle").textContent = D.subtitle;
for (const [k, v] of D.facts) $("facts").append(el("div", {}, el("dt", {}, k), el("dd", {}, v)));
for (const t of D.notes) $("notes").append(el("li", {}, t));
if (n) setUpMap();
const strip = (set, item, size) => el("figure", {},
  ...item.tiles.map(([t, what]) => { const b = tile(set, t, size); b.setAttribute("role", "img"); b.setAttribute("aria-label", `${what}: ${item.name}`); b.title = what; return b; }),
  el("figcaption", {}, item.name));
if (gallery) {
  $("gallery-note").textContent = gallery.note;
  const strips = new Map();
  for (const item of gallery.items) {
    if (!strips.has(item.class)) strips.set(item.class, el("div", { className: "strip" }, el("h3", {}, item.class)));
    strips.get(item.class).append(strip(gallery, item, 64));
  }
  const all = [...strips.values()], first = all.length > 36 ? 24 : all.length;
  show("gallery", el("div", { className: "strips" }, ...all.slice(0, first)));
  if (first < all.length) show("gallery", fold(`The other ${count(all.length - first)} classes`, el("div", { className: "strips" }, ...all.slice(first))));
}
if (gazes) {
  $("gazes-note").textContent = gazes.note;
  show("gazes", el("div", { className: "strips wide" }, ...gazes.items.map(item => el("div", { className: "strip" },
    el("h3", {}, item.class, item.predicted && item.predicted !== item.class ? el("span", { className: "wrong" }, ` taken for ${item.predicted}`) : ""), strip(gazes, item, 120)))));
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
    const m = heat(c.matrix, "class", "cluster", (r, k) => { setColour("cluster"); both([truth, r], [colourBy("cluster"), Number(c.matrix.columns[k])]); });
    show("clusters", el("h3", {}, "Clusters by class"), m);
  }
  for (const t of c.notes) show("clusters", el("p", { className: "quiet" }, t));
}
if (D.classifier) {
  const body = el("div", {}), buttons = [];
  const open = c => {
    const part = c.part === null ? [] : [[colourBy("part"), c.part]];
    const go = c.linked && truth && answer ? (r, k) => { setColour("prediction"); both([truth, r], [answer, k], ...part); } : null;
    const wrong = c.matrix.cells.filter(x => c.matrix.rows[x[0]] !== c.matrix.columns[x[1]]).sort((a, b) => b[2] - a[2]);
    repaint.length = fixed;
    body.replaceChildren(el("p", { className: "quiet" }, c.note), facts(c.facts), el("h3", {}, "Classes by prediction"), heat(c.matrix, "class", "predicted", go, true));
    if (wrong.length) body.append(el("h3", {}, "Most confused"), table(["class", "taken for", "pictures"], wrong.slice(0, 40).map(x => [c.matrix.rows[x[0]], c.matrix.columns[x[1]],
      go ? el("button", { type: "button", onclick: () => go(x[0], x[1]), ariaLabel: `Show ${count(x[2])} pictures` }, count(x[2])) : count(x[2])]), [2]));
    for (const [b, of] of buttons) b.setAttribute("aria-pressed", of === c);
  };
  for (const c of D.classifier.confusions) buttons.push([el("button", { type: "button", onclick: () => open(c) }, c.name), c]);
  const fixed = repaint.length;
  show("confusion", el("p", { className: "quiet" }, D.classifier.by), buttons.length > 1 ? el("p", {}, el("span", { className: "group", role: "group", ariaLabel: "Pictures" }, ...buttons.map(b => b[0]))) : "", body);
  open(D.classifier.confusions[0]);
}
if (D.rejects) show("rejects", facts([["Rejected", count(D.rejects.total)]]), D.rejects.rows.length ? table(["picture", "stage", "reason"], D.rejects.rows) : "", D.rejects.rows.length < D.rejects.total ? el("p", { className: "quiet" }, `The first ${count(D.rejects.rows.length)} are shown; rejects.csv names all.`) : "");
if (D.timings.length || D.options.length) {
  if (D.timings.length) show("run", el("h3", {}, "Seconds by stage"), el("p", { className: "quiet" }, "Work summed over workers."), table(["stage", "seconds"], D.timings.map(([k, v]) => [k, v.toFixed(2)]), [1]));
  if (D.options.length) show("run", fold("What was asked", table(["option", "value"], D.options)));
}
if (D.figures.length) {
  const by = new Map();
  for (const f of D.figures) { const [stem, end] = f.split(/\.(?=\w+$)/); by.set(stem, [...(by.get(stem) || []), [f, end]]); }
  show("run", el("h3", {}, "Figures beside this page"), el("ul", { className: "facts" }, ...[...by].map(([stem, all]) => el("li", {}, stem.replace(/^.*\//, "") + " ", ...all.flatMap(([f, end]) => [el("a", { href: f }, end.toUpperCase()), " "])))));
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
  state: () => ({ points: n, rows: D.rows, colour: colour.id, lit, hover, picked, hoverName: hover < 0 ? null : name(hover), selected: selected ? selected.size : 0, shown: n ? shown.reduce((a, b) => a + b, 0) : 0, view: view && view.id, zoom: box.scale / box.home }),
  time: () => { const t = performance.now(); draw(); return performance.now() - t; },
};
