/** Photos and the camera through a plan, in a worker, drawn as they come. */

import { loadInWorker } from "../src/index.js";
import { keep } from "./keep.js";

const at = (id) => document.getElementById(id);
const view = at("view").getContext("2d");
const frame = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true }); // what is looked at; shown with what was found
const COLOURS = ["#00a389", "#e4572e", "#2e86de", "#f0a202", "#9b5de5", "#d81159", "#3a7d44", "#6c757d"];
const times = new Map(); // of each network's photos, ms

let net, title, opened, picture, stream;
let turns = 0; // looks; the last one is shown

/** Shows what went wrong, of whatever is awaited. */
async function told(task) {
  at("error").textContent = "";
  try {
    await task();
  } catch (error) {
    at("error").textContent = error.message;
  }
}

async function open(source, name) {
  net?.close();
  net = undefined;
  net = await loadInWorker(source, { threads: Number(at("threads").value) });
  const { shape, type } = net.inputs[0];
  const threads = net.threads > 1 ? `, ${net.threads} threads` : "";
  at("network").textContent = `${name}: ${shape.join(" x ")} ${type}, ${net.instructionSet}${threads}`;
  title = name + threads;
  opened = [source, name];
}

/** A photo's pixels, at most 640 wide. */
function taken(source, width, height) {
  const { canvas } = frame, scale = Math.min(1, 640 / width);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.max(1, Math.round(height * scale));
  frame.drawImage(source, 0, 0, canvas.width, canvas.height);
  return frame.getImageData(0, 0, canvas.width, canvas.height);
}

/** What was taken, and boxes on it, at once: a camera's picture would flicker otherwise. */
function show(boxes) {
  const { width, height } = frame.canvas;
  if (view.canvas.width !== width || view.canvas.height !== height) Object.assign(view.canvas, { width, height });
  view.drawImage(frame.canvas, 0, 0);
  boxes.toReversed().forEach(box); // the best one's name over all others
  at("hint").hidden = true;
}

async function look(source, width, height) {
  const running = net, name = title, turn = ++turns;
  const image = taken(source, width, height);
  if (!running) return show([]);
  const begin = performance.now();
  const isDetector = Boolean(running.info.detection);
  const least = at("least").value / 100;
  const looked = isDetector ? running.detect(image, { least }) : running.classify(image, { top: 5 });
  const found = await looked.catch((error) => {
    if (running === net) throw error;
  });
  if (!found || turn !== turns) return; // another network or photo was chosen meanwhile
  note(name, performance.now() - begin);
  show(isDetector ? found : []);
  list(found);
}

function box({ label, index, score, box: [left, top, right, bottom] }) {
  const text = `${label} ${Math.round(score * 100)} %`;
  view.strokeStyle = view.fillStyle = COLOURS[index % COLOURS.length];
  view.lineWidth = 3;
  view.strokeRect(left, top, right - left, bottom - top);
  view.font = "600 14px system-ui, sans-serif";
  const base = Math.max(top, 18);
  view.fillRect(left - 1.5, base - 18, view.measureText(text).width + 10, 18);
  view.fillStyle = "#fff";
  view.fillText(text, left + 4, base - 4);
}

function list(found) {
  at("found").replaceChildren(
    ...found.slice(0, 8).map(({ label, score }) => {
      const item = document.createElement("li");
      item.style.setProperty("--share", `${score * 100}%`);
      item.append(label, Object.assign(document.createElement("span"), { textContent: `${(score * 100).toFixed(1)} %` }));
      return item;
    }),
  );
}

function note(network, ms) {
  const all = times.get(network) ?? [];
  times.set(network, [...all.slice(-59), ms]);
  at("ms").textContent = ms.toFixed(1);
  at("times").hidden = times.size < 2;
  at("times").tBodies[0].replaceChildren(
    ...[...times].map(([name, values]) => {
      const row = document.createElement("tr");
      const median = values.toSorted((a, b) => a - b)[values.length >> 1];
      for (const text of [name, median.toFixed(1)]) row.append(Object.assign(document.createElement("td"), { textContent: text }));
      return row;
    }),
  );
}

async function showPhoto(file) {
  stop();
  picture = await createImageBitmap(file);
  await look(picture, picture.width, picture.height);
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  at("camera").textContent = "Camera";
  at("fps").textContent = "–";
}

async function camera() {
  if (stream) return stop();
  stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, facingMode: "environment" } });
  const video = at("video");
  video.srcObject = stream;
  await video.play();
  at("camera").textContent = "Stop";
  let before = performance.now(), pace = 0; // ms from a frame to the next, of the last few
  for (const own = stream; stream === own; ) {
    await look(video, video.videoWidth, video.videoHeight);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    pace = pace ? 0.8 * pace + 0.2 * (now - before) : now - before;
    if (stream === own) at("fps").textContent = (1000 / pace).toFixed(0);
    before = now;
  }
}

async function use(source, name) {
  await open(source, name);
  if (picture && !stream) await look(picture, picture.width, picture.height);
}

const address = () => `../plans/${at("plans").value}`;
const choose = () => use(address(), at("plans").value.replace(/\.plan$/, ""));

at("camera").onclick = () => told(camera);
at("plans").onchange = () => told(choose);
at("threads").onchange = () => opened && told(() => use(...opened));
at("photo").onchange = ({ target }) => target.files[0] && told(() => showPhoto(target.files[0]));
at("plan").onchange = ({ target: { files: [file] } }) => file && told(async () => use(await file.arrayBuffer(), file.name.replace(/\.plan$/, "")));
at("least").oninput = ({ target }) => {
  at("percent").textContent = `${target.value} %`;
  if (picture && !stream) told(() => look(picture, picture.width, picture.height));
};
for (const name of ["dragover", "dragleave", "drop"]) {
  at("stage").addEventListener(name, (event) => {
    event.preventDefault();
    at("stage").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files[0]) told(() => showPhoto(event.dataTransfer.files[0]));
  });
}

const most = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, 16) : 1;
at("threads").replaceChildren(...Array.from({ length: most }, (_, i) => new Option(i + 1)));

await told(async () => {
  const names = await (await fetch("../plans/")).json();
  at("plans").replaceChildren(...names.map((name) => new Option(name.replace(/\.plan$/, ""), name)));
  if (names.length) await choose();
  else at("network").textContent = "no plan yet: open one";
});
document.body.dataset.ready = "true";

at("kept").textContent = await keep(...(at("plans").value ? [address()] : []));
