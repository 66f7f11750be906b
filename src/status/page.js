"use strict";
const NS = "http://www.w3.org/2000/svg";
const KEPT = 240;
const EVERY = 2000;
const $ = id => document.getElementById(id);
let reports = [], run = null, aiming = false;

const put = (id, text) => { const at = $(id); if (at.textContent !== text) at.textContent = text; };
const shape = (name, attributes, text) => {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};
const draw = (id, shapes) => $(id).replaceChildren(...shapes);
const time = text => new Date(text).toLocaleTimeString();
const count = (n, one, many) => n + " " + (n === 1 ? one : many);

const WORDS = { numbers: "with numbers", suppressed: "suppressed", held: "held" };
const why = (kind, group) => ({
  suppressed: "Suppressed: fewer than " + group + " people were seen at once, so nothing is said of them.",
  held: "Held: too few came or went since the last report, so the difference would tell of them. It ends when " +
    group + " or more have come or gone, or ten minutes after the last report.",
})[kind];

function showReports(setup, counts) {
  const last = reports[reports.length - 1];
  if (last) {
    const people = last.people ? ": " + last.people[0] + " people at once" + (last.mood ? ", mood " + last.mood : "") : "";
    put("latest", "Window " + last.seq + ", " + time(last.end) + ", " + WORDS[last.kind] + people + ".");
  }
  const reason = last && why(last.kind, setup.min_group);
  $("why").hidden = !reason;
  put("why", reason || "");
  put("kinds-text", counts[0] + " with numbers (tall), " + counts[1] + " suppressed (low), " + counts[2] + " held (middle), since the start.");
  const n = Math.max(reports.length, 30), step = 480 / n, from = n - reports.length;
  const tall = { numbers: 24, held: 14, suppressed: 7 };
  draw("kinds", reports.map((r, i) => shape("rect", { class: r.kind, x: (from + i) * step, y: 24 - tall[r.kind],
    width: Math.max(step - 1, 0.5), height: tall[r.kind] })));

  const told = reports.filter(r => r.people);
  const most = Math.max(5, ...told.map(r => r.people[0]));
  const y = value => 80 - value / most * 70, x = i => (from + i + 0.5) * step;
  const lines = [shape("line", { class: "grid", x1: 0, x2: 480, y1: y(most), y2: y(most) }),
    shape("text", { class: "label", x: 2, y: y(most) + 11 }, String(Math.round(most)))];
  let path = "";
  reports.forEach((r, i) => {
    if (!r.people) return;
    const joins = i > 0 && reports[i - 1].people;
    path += (joins ? "L" : "M") + x(i).toFixed(1) + " " + y(r.people[0]).toFixed(1);
    lines.push(shape("circle", { class: "dot", cx: x(i), cy: y(r.people[0]), r: 2.5 }));
  });
  if (path) lines.push(shape("path", { class: "curve", d: path }));
  draw("people", lines);
  put("people-text", told.length ? "From " + Math.min(...told.map(r => r.people[0])) + " to " +
    Math.max(...told.map(r => r.people[0])) + " in " + count(told.length, "window", "windows") + "." : "Not told yet.");

  const bars = [];
  const felt = { negative: 0, neutral: 0, positive: 0 };
  reports.forEach((r, i) => {
    if (r.mood) felt[r.mood]++;
    const score = r.score || (r.mood ? ["negative", "neutral", "positive"].map(m => m === r.mood ? 1 : 0) : null);
    if (!score) return;
    let bottom = 90;
    const sum = score[0] + score[1] + score[2] || 1;
    ["negative", "neutral", "positive"].forEach((mood, k) => {
      const height = score[k] / sum * 90;
      bottom -= height;
      if (height > 0) bars.push(shape("rect", { class: mood, x: (from + i) * step, y: bottom, width: Math.max(step - 1, 0.5), height }));
    });
  });
  draw("mood", bars);
  put("mood-text", "Most often: " + (Object.entries(felt).sort((a, b) => b[1] - a[1]).filter(([, n]) => n)
    .map(([mood, n]) => mood + " " + n + "×").join(", ") || "not told yet") + ".");

  $("rows").replaceChildren(...reports.slice(-20).reverse().map(r => {
    const row = document.createElement("tr");
    for (const text of [r.seq, time(r.end), WORDS[r.kind], r.people ? r.people[0] : "not told", r.mood || "not told"]) {
      const cell = document.createElement("td");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  }));
}

function lightWords(light) {
  if (light < 30) return "dark: faces are not found; add light";
  if (light < 60) return "dim: expressions are read less well; add light";
  if (light < 200) return "good";
  return "glaring: turn the camera away from the window or lamp";
}

function showAiming(state) {
  const setup = state.setup;
  put("reach", "The smallest face that is looked at is " + setup.min_face_px + " pixels wide. With a lens that sees " + setup.field_of_view +
    " degrees that is a face up to " + setup.reach_metres + " m away.");
  aiming = state.aiming !== null;
  const button = $("aim");
  button.setAttribute("aria-pressed", String(aiming));
  button.disabled = state.paused;
  put("aim", aiming ? "Stop aiming" : "Aim for ten minutes");
  put("aim-left", state.paused ? "A privacy pause is on: nobody is looked at." :
    aiming ? "On for " + count(Math.ceil(state.aiming.seconds_left / 60), "more minute", "more minutes") + "." : "Off.");
  $("sight").hidden = !aiming;
  const sight = aiming && state.aiming.sight;
  if (!sight) {
    draw("ground", []);
    put("sight-text", aiming ? "No frame was looked at just now." : "");
    put("light", "");
    return;
  }
  const high = 100 * sight.size[1] / Math.max(sight.size[0], 1);
  $("ground").setAttribute("viewBox", "0 0 100 " + high);
  draw("ground", sight.faces.map(f => shape("rect", { class: f.px < setup.min_face_px * 1.5 ? "face small" : "face",
    x: f.x, y: f.y * high / 100, width: f.width, height: f.height * high / 100 })));
  const sizes = sight.faces.map(f => f.px);
  put("sight-text", sizes.length ? count(sizes.length, "face", "faces") + ", the smallest " + Math.min(...sizes) + " pixels wide. At " +
    setup.min_face_px + " pixels a face is lost; dashed boxes are near that." : "No face is seen.");
  put("light", "Light: " + sight.light + " of 255, " + lightWords(sight.light) + ".");
}

function showDevice(state) {
  const rows = [];
  const row = (name, value) => {
    if (value === null || value === undefined) return;
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    text.textContent = value;
    rows.push(term, text);
  };
  const { health, connected } = state.device, f = health.frames, s = health.spool;
  row("Camera", health.camera + ", " + (health.state || "starting").replace("_", " "));
  row("Frames", f.per_second + " of " + f.configured_per_second + " per second" + (f.rate < 1 ? "; " + Math.round(f.rate * 100) + " % for heat" : ""));
  row("Frames lost", health.drops.broken + " broken, " + health.drops.late + " late, " + health.drops.heat + " for heat");
  row("Broker", (connected ? "reached" : "not reached") + "; " + s.acknowledged + " reports delivered, " + s.waiting + " wait, " +
    s.dropped + " dropped, " + s.refused + " refused");
  row("Windows", state.setup.window_seconds + " s, at least " + state.setup.min_group + " people");
  if (health.board.celsius !== null) row("Temperature", "about " + health.board.celsius + " °C" + (health.board.throttled ? ", throttled" : ""));
  if (health.board.under_voltage !== null) row("Power", health.board.under_voltage ? "voltage too low" : "good");
  if (health.disk) row("Disk", health.disk.free_mib + " of " + health.disk.total_mib + " MiB free" + (health.disk.read_only ? ", read-only" : ""));
  if (health.starts) row("Starts", health.starts.count + ", of which " + health.starts.unexpected + " unexpected; this one: " + health.starts.cause);
  row("Running", Math.floor(health.uptime_seconds / 3600) + " h " + Math.floor(health.uptime_seconds / 60) % 60 + " min");
  row("Networks run on", state.setup.accelerator);
  row("Version", state.version);
  if (rows.map(r => r.textContent).join("|") !== [...$("device").children].map(r => r.textContent).join("|")) $("device").replaceChildren(...rows);
}

function show(state, whole) {
  if (state.device) {
    const health = state.device.health;
    if (run !== null && run !== health.boot_id) { run = null; reports = []; return true; }
    run = health.boot_id;
    put("name", health.site + " / " + health.device);
    put("line", state.device.line);
    showDevice(state);
  }
  if (whole || state.reports.length) reports = reports.concat(state.reports).slice(-KEPT);
  showReports(state.setup, state.counts);
  showAiming(state);
  return false;
}

async function ask(path, method) {
  const answer = await fetch(path, { method, headers: { "x-affectd": "page" }, cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

async function look() {
  try {
    const last = reports[reports.length - 1];
    if (show(await ask("/state" + (last ? "?after=" + last.seq : ""), "GET"), !last)) return look();
  } catch (error) {
    put("line", "affectd does not answer; this page keeps asking.");
  }
  // A hidden page asks for nothing.
  setTimeout(look, document.hidden ? EVERY * 5 : EVERY);
}

$("aim").addEventListener("click", async () => {
  try {
    show(await ask(aiming ? "/aiming/end" : "/aiming/begin", "POST"), false);
  } catch (error) {
    put("aim-left", error.message);
  }
});
look();
