// Opens a report in headless Chromium over its debugging pipe and uses it as a person would:
//   node tests/report/browser.mjs REPORT.html [SCREENSHOT-FOLDER]
// Exit status 1 if the page logs an error, is wider than the screen, a figure it links to is missing, or
// hover, click, lasso, search, zoom, keys, the legend, colours, the confusion matrix or the theme button
// don't do what they should. Needs node 20 and a chromium in PATH.
import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const [file, folder] = process.argv.slice(2);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), "report-browser-"));
const chrome = spawn(process.env.CHROMIUM || "chromium",
  ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--user-data-dir=" + profile, "--remote-debugging-pipe", "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
const waits = new Map(), events = [];
let last = 0, buffer = "";
chrome.stdio[4].on("data", data => {
  buffer += data;
  for (let end; (end = buffer.indexOf("\0")) >= 0; buffer = buffer.slice(end + 1)) {
    const message = JSON.parse(buffer.slice(0, end));
    if (message.id) waits.get(message.id)(message.result ?? message); else events.push(message);
  }
});
const send = (method, params = {}, sessionId) => new Promise(done => {
  waits.set(++last, done);
  chrome.stdio[3].write(JSON.stringify({ id: last, method, params, sessionId }) + "\0");
});
const rest = ms => new Promise(done => setTimeout(done, ms));
let failures = 0;
const check = (ok, what) => { if (!ok) { failures++; console.error("FAILED", what); } };

for (const [width, height, mobile] of [[1280, 900, false], [390, 844, true]]) for (const theme of ["light", "dark"]) {
  const where = `${mobile ? "phone" : "desktop"}-${theme}`;
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await send("Target.attachToTarget", { targetId, flatten: true });
  const to = (method, params) => send(method, params, sessionId);
  const run = async expression => (await to("Runtime.evaluate", { expression, returnByValue: true })).result?.value;
  const mouse = (type, [x, y], button = "left") => to("Input.dispatchMouseEvent", { type, x, y, button, clickCount: 1 });
  const state = () => run("fruitcoreReport.state()");
  for (const domain of ["Page", "Runtime", "Log"]) await to(domain + ".enable");
  await to("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: mobile ? 2 : 1, mobile });
  await to("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: theme }] });
  await to("Page.navigate", { url: "file://" + path.resolve(file) });
  for (let i = 0; i < 100 && !(await run("!!window.fruitcoreReport")); i++) await rest(100);
  await run("document.getElementById('canvas').scrollIntoView({ block: 'center' })");
  await rest(300);
  const start = await state();
  check(start?.points > 3 && start.shown === start.points, `${where}: all points are drawn`);
  const at = await run("fruitcoreReport.place(3)");
  await mouse("mouseMoved", at, "none");
  await rest(150);
  const hovered = await state(), tip = await run("document.getElementById('tip').textContent");
  check(hovered.hover >= 0 && tip.includes(hovered.hoverName), `${where}: hover names the picture`);
  await mouse("mousePressed", at); await mouse("mouseReleased", at);
  check((await state()).picked === hovered.hover, `${where}: a click picks the point`);
  check(await run("document.querySelectorAll('#detail .card').length > 0"), `${where}: neighbours are listed`);
  await run("document.getElementById('canvas').scrollIntoView({ block: 'center' }); document.getElementById('lasso').click()");
  await rest(150);
  const [left, top, w, h] = await run("(r => [r.left, r.top, r.width, r.height])(document.getElementById('canvas').getBoundingClientRect())");
  const corners = [[.03, .03], [.97, .03], [.97, .97], [.03, .97], [.03, .05]].map(([x, y]) => [left + x * w, top + y * h]);
  await mouse("mousePressed", corners[0]);
  for (const corner of corners.slice(1)) await mouse("mouseMoved", corner);
  await mouse("mouseReleased", corners[4]);
  await rest(150);
  check((await state()).selected > 3, `${where}: the lasso selects`);
  if (folder) fs.writeFileSync(path.join(folder, where + ".png"), Buffer.from((await to("Page.captureScreenshot", { format: "png", captureBeyondViewport: true })).data, "base64"));
  await run("document.querySelector('#selection button').click(); document.getElementById('pan').click()");

  // Keys: Enter picks the point nearest the middle, Escape drops it, the arrows pan.
  const key = async (key, code) => { for (const type of ["keyDown", "keyUp"]) await to("Input.dispatchKeyEvent", { type, key, code: key, windowsVirtualKeyCode: code, text: key === "Enter" ? "\r" : undefined }); await rest(60); };
  await run("document.getElementById('canvas').focus()");
  await key("Escape", 27);
  check((await state()).picked === -1, `${where}: Escape drops the pick`);
  await key("Enter", 13);
  check((await state()).picked >= 0, `${where}: Enter picks`);
  const before = await run("fruitcoreReport.place(0)[0]");
  await key("ArrowRight", 39);
  check(await run("fruitcoreReport.place(0)[0]") < before, `${where}: an arrow pans`);
  await run("document.getElementById('fit').click()");

  // The legend: pointing at a name lights its points, a double click leaves it alone.
  await run("document.querySelector('#legend .key').dispatchEvent(new PointerEvent('pointerenter', { pointerType: 'mouse' }))");
  check((await state()).lit !== null, `${where}: the legend lights`);
  await run("document.querySelector('#legend .key').dispatchEvent(new PointerEvent('pointerleave'))");
  await run("document.querySelector('#legend .key').dispatchEvent(new MouseEvent('dblclick'))");
  await rest(150);
  check((await state()).shown < start.points && (await state()).shown > 0, `${where}: a double click shows one alone`);
  await run("document.querySelector('#legend .top button').click()");

  // Every colouring draws, and the classifier's matrix leads to its pictures.
  for (const id of await run("[...document.getElementById('colour').options].map(o => o.value)")) {
    await run(`(e => { e.value = '${id}'; e.dispatchEvent(new Event('change')) })(document.getElementById('colour'))`);
    check((await state()).colour === id && await run("document.querySelectorAll('#legend .key').length > 0"), `${where}: colours by ${id}`);
  }
  if (await run("!document.getElementById('confusion').hidden")) {
    for (const part of await run("[...document.querySelectorAll('#confusion .group button')].map((_, i) => i)")) {
      await run(`document.querySelectorAll('#confusion .group button')[${part}].click()`);
      const cell = "#confusion .heat td button", grid = "#confusion .grid canvas";
      let expected;
      if (await run(`!!document.querySelector('${cell}')`)) {
        expected = await run(`Number(document.querySelector('${cell}').textContent.replace(/,/g, ''))`);
        await run(`document.querySelector('${cell}').click()`);
      } else {
        // The first cell that holds anything, found with the keys alone.
        await run(`document.querySelector('${grid}').focus()`);
        for (let i = 0; i < 400; i++) {
          await run(`document.querySelector('${grid}').dispatchEvent(new KeyboardEvent('keydown', { key: ${i % 2 ? "'ArrowRight'" : "'ArrowDown'"} }))`);
          expected = await run("Number(document.querySelector('#confusion .said').textContent.split(': ').pop().replace(/,/g, ''))");
          if (expected) break;
        }
        await run(`document.querySelector('${grid}').dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter' }))`);
      }
      await rest(150);
      const now = await state();
      check(expected > 0 && (now.selected === expected || now.points < now.rows), `${where}: a cell of ${expected} selects its pictures, not ${now.selected}`);
      check(now.colour === "prediction" && await run("document.querySelectorAll('#selection .card').length > 0"), `${where}: the pictures of a cell are shown`);
    }
    await run("document.querySelector('#selection button').click()");
  }
  if (await run("!document.getElementById('gazes').hidden")) {
    check(await run("document.querySelectorAll('#gazes .thumb').length >= 2"), `${where}: saliency is shown`);
  }
  for (const href of await run("[...document.querySelectorAll('#run a')].map(a => a.getAttribute('href'))")) {
    check(fs.existsSync(path.join(path.dirname(file), href)), `${where}: ${href} lies beside the page`);
  }
  await run("(e => { e.value = 'class'; e.dispatchEvent(new Event('change')) })(document.getElementById('colour'))");
  await run("(e => { e.value = 'no such picture'; e.dispatchEvent(new Event('input')) })(document.getElementById('search'))");
  await rest(300);
  check((await state()).selected === 0, `${where}: a search without hits selects nothing`);
  await run("document.getElementById('in').click()");
  check((await state()).zoom > start.zoom, `${where}: the button zooms`);
  await run("document.getElementById('theme').click()");
  check(await run("document.documentElement.dataset.theme") !== theme, `${where}: the theme changes`);
  await run("document.querySelector('#legend .top button:nth-child(2)').click()");
  await rest(150);
  check((await state()).shown === 0, `${where}: the legend hides`);
  check(await run("document.documentElement.scrollWidth <= innerWidth"), `${where}: nothing is wider than the screen`);
  await send("Target.closeTarget", { targetId });
}
const errors = events.filter(e => e.method === "Runtime.exceptionThrown" || e.method === "Log.entryAdded" || (e.method === "Runtime.consoleAPICalled" && e.params.type === "error"));
check(!errors.length, "errors in the console: " + JSON.stringify(errors.map(e => e.params)));
const gone = new Promise(done => chrome.on("exit", done));
chrome.kill();
await Promise.race([gone, rest(5000)]);
try { fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }); } catch { /* a helper process of the browser still writes */ }
console.log(failures ? `${failures} failed` : "the page works");
process.exit(failures ? 1 : 0);
