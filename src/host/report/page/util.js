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
const bytes = b64 => {
  const text = atob(b64), out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  return out;
};
const f32 = b64 => new Float32Array(bytes(b64).buffer);
const u32 = b64 => new Uint32Array(bytes(b64).buffer);
const u16 = b64 => new Uint16Array(bytes(b64).buffer);
const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
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
const thumbs = sheets(D.thumbs), gallery = sheets(D.gallery), gazes = sheets(D.gazes);
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
