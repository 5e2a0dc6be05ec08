// Draws runs: the JSON of run.py and runs.py in this directory.
//
// A host gives the element to draw in, the data, and Plotly. One that is beside a server
// also gives functions that ask it for more: parts of long curves, curves of other runs.
// All names and texts of a run may be anybody's: they become text nodes, or go through
// `plain` to Plotly.

/* -- elements ----------------------------------------------------------------------- */

// A new element. Properties that are functions listen to events; children are elements
// and texts.
export function make(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null));
  return made;
}

// A name with all that is not seen, or changes the order of what is, in a form that is.
export function visible(text, keep = "") {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, (one) => {
    if (keep.includes(one)) return one;
    const known = { "\n": "\\n", "\t": "\\t", "\r": "\\r" }[one];
    const code = one.codePointAt(0).toString(16);
    return known ?? (code.length < 3 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`);
  });
}

// A name for Plotly, which reads a part of HTML.
function plain(text) {
  return visible(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/* -- numbers and dates -------------------------------------------------------------- */

const TYPES = { f8: Float64Array, f4: Float32Array, i4: Int32Array, i1: Int8Array };

function typed([type, text]) {
  const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  return new TYPES[type](bytes.buffer);
}

export const unpacked = (text) => typed(["f8", text]);

function said(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (Array.isArray(value)) return value.map(said).join(", ");
  if (typeof value === "object")
    return Object.entries(value).map(([name, its]) => `${name}: ${said(its)}`).join(", ");
  return String(value);
}

const grouped = (number) => number.toLocaleString("en");

function date(text) {
  const found = new Date(text);
  if (!text || isNaN(found)) return "";
  return `${found.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function duration(seconds) {
  if (seconds === null) return "";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds), days = Math.floor(whole / 86400);
  const two = (number) => String(number).padStart(2, "0");
  const clock = `${Math.floor((whole % 86400) / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
  return days ? `${days} d ${clock}` : clock;
}

// How long ago, roughly.
function ago(seconds) {
  if (seconds === null) return "";
  for (const [most, unit, size] of [[60, "s", 1], [3600, "min", 60], [172800, "h", 3600]])
    if (seconds < most) return `${Math.floor(seconds / size)} ${unit}`;
  return `${Math.floor(seconds / 86400)} d`;
}

function place(at, unit) {
  const step = `step ${grouped(at.step)}`;
  return at.time === null ? step : `${step}, ${said(at.time)}${unit ? ` ${visible(unit)}` : ""}`;
}

/* -- charts ------------------------------------------------------------------------- */

const COLOURS = [
  "#3b76c4", "#d9722e", "#3a9a5c", "#c2455b", "#8661b4",
  "#96724d", "#cf6fae", "#6f7681", "#a3a02c", "#2ba3b5",
];
// Violet to yellow, all of which is seen on white and on black.
const SCALE = [[112, 92, 200], [58, 118, 190], [32, 145, 140], [85, 175, 90], [205, 175, 35]];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];

function shade(at) {
  const scaled = at * (SCALE.length - 1), low = Math.min(Math.floor(scaled), SCALE.length - 2);
  const mixed = SCALE[low].map((one, k) => Math.round(one + (scaled - low) * (SCALE[low + 1][k] - one)));
  return `rgb(${mixed.join(",")})`;
}

const faint = (colour) =>
  colour.startsWith("rgb")
    ? colour.replace("rgb", "rgba").replace(")", ",0.2)")
    : `${colour}33`;

// The charts of a page: drawn when they come into view, or to be printed.
export class Charts {
  constructor(root, plotly, dark) {
    this.root = root;
    this.plotly = plotly;
    this.dark = dark;
    this.printing = false;
    this.builds = new Map();
    this.seen = new IntersectionObserver(
      (entries) => entries.filter((one) => one.isIntersecting).forEach((one) => this.draw(one.target)),
      { root: document, rootMargin: "400px" },
    );
  }

  // An element with a chart; `build` returns its traces, and what its layout adds.
  // `zoom(left, right, bottom, top)` promises a build for a part of the axes, or null if it
  // is the same.
  add(build, label, zoom = null) {
    const box = make("div", { className: "chart", role: "img", "aria-label": visible(label) });
    this.builds.set(box, { build, zoom, stale: true, part: null, range: "" });
    // Who points at a chart may zoom into it: a server can read its data meanwhile.
    if (zoom) box.addEventListener("pointerenter", () => zoom(0, 0, 0, 0).catch(() => null), { once: true });
    this.seen.observe(box);
    return box;
  }

  draw(box) {
    const its = this.builds.get(box);
    if (!its.stale || !this.plotly) return;
    its.stale = false;
    try {
      const [traces, layout] = (its.part ?? its.build)();
      if (!traces.length && !box.data) return; // nothing yet
      const fixed = this.printing ? { width: box.clientWidth, height: box.clientHeight } : {};
      this.plotly.react(box, traces, { ...this.layout(layout), ...fixed }, {
        responsive: true, displaylogo: false,
        modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
      });
      if (its.zoom && !its.follows) box.on("plotly_relayout", () => this.zoomed(box));
      its.follows = true;
    } catch (error) {
      box.replaceChildren(make("p", { className: "note" }, `This can't be drawn: ${error.message}`));
    }
  }

  // Draw a chart that shows something else now, also if it is not in view.
  redraw(box) {
    this.builds.get(box).stale = true;
    this.draw(box);
  }

  // Draw the part of a chart that is in view with all the points for which there is room.
  async zoomed(box, again = false) {
    const its = this.builds.get(box), { xaxis, yaxis } = box.layout;
    const range = xaxis.autorange || !xaxis.range ? null : [...xaxis.range, ...(yaxis.range ?? [])].map(Number);
    if (!again && its.range === String(range ?? "")) return;
    const asked = (its.range = String(range ?? ""));
    const part = range && (await its.zoom(...range).catch(() => null)); // the host says why
    if (its.range !== asked || (!part && !its.part)) return;
    its.part = part;
    its.stale = true;
    this.draw(box);
  }

  // Draw again what has changed: what is in view at once, the rest when it is.
  changed(only = null) {
    for (const [box, its] of this.builds) {
      if (!box.isConnected || (only && box !== only)) continue;
      its.stale = true;
      this.seen.unobserve(box);
      this.seen.observe(box);
      if (its.part) this.zoomed(box, true);
    }
  }

  // Forget charts that are no longer on the page.
  clean() {
    for (const box of this.builds.keys()) {
      if (box.isConnected) continue;
      this.builds.delete(box);
      this.seen.unobserve(box);
      if (box.data) this.plotly.purge(box);
    }
  }

  // Take the colours that the page has now.
  shade() {
    document.documentElement.classList.toggle("dark", this.dark());
    this.changed();
  }

  // Begin or end to print: all charts, at the width of paper.
  print(printing) {
    this.printing = printing;
    this.root.classList.toggle("printing", printing);
    for (const one of this.root.querySelectorAll("details.facts")) one.open = printing;
    for (const [box, its] of this.builds) {
      its.stale = true;
      if (box.hidden) continue;
      this.draw(box);
      if (!printing) this.plotly.Plots.resize(box);
    }
  }

  layout({ x, y, xaxis, yaxis, yaxis2, ...more }) {
    const dark = this.dark() && !this.printing;
    const [ink, line] = dark ? ["#c9cdd4", "#3a3f47"] : ["#3d4148", "#e3e5e8"];
    const axis = {
      gridcolor: line, linecolor: line, zerolinecolor: line, automargin: true,
      exponentformat: "power", minexponent: 5, separatethousands: true, title: { standoff: 6, font: { size: 12 } }, ticklen: 4, tickcolor: line,
    };
    const titled = (name) => ({ ...axis, title: { ...axis.title, text: name } });
    return {
      margin: { l: 48, r: 12, t: 10, b: 36 }, paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", dragmode: "zoom",
      font: { family: "system-ui, sans-serif", size: 12, color: ink },
      hoverlabel: { namelength: 60, font: { family: "system-ui, sans-serif" } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: ink, activecolor: "#3b76c4" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      xaxis: { ...titled(x), ...xaxis }, yaxis: { ...titled(y), ...yaxis },
      ...(yaxis2 ? { yaxis2: { ...titled(yaxis2.name), ...yaxis2 } } : {}), uirevision: "kept", ...more,
    };
  }
}

const axisName = (card, unit) =>
  card.timed ? `time${unit ? ` (${plain(unit)})` : ""}` : "step";

function line(x, y, name, colour, { dash = "solid", ...more } = {}) {
  return {
    type: "scatter", mode: x.length === 1 ? "markers" : "lines", x, y,
    name: plain(name), line: { color: colour, width: 1.5, dash },
    marker: { color: colour }, hovertemplate: "%{y:.6~g} at %{x:.9~g}", ...more,
  };
}

/* -- cards: one for each tag -------------------------------------------------------- */

function card(its, note, ...content) {
  const said = typeof note === "string" && note ? make("p", { className: "note" }, note) : note || null;
  return make("section", { className: `card ${its.wide ? "wide" : ""}` },
    make("h3", {}, visible(its.tag)), ...content, said);
}

// A card that takes new data of its tag; others are made anew.
function updated(element, take) {
  return Object.assign(element, { take });
}

function scalarCard(its, { charts, unit, run, host }) {
  const note = make("p", { className: "note" });
  let curves;
  const take = (next) => {
    its = next;
    curves = its.curves.map((one) => ({ ...one, run, tag: its.tag, x: unpacked(one.x), y: unpacked(one.y) }));
    curves.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
  };
  take(its);
  const drawn = (all, zoomed) => () => {
    note.textContent = thinned(all, zoomed);
    const beside = all.length > 6 ? { legend: { font: { size: 11 } } } : {};
    return [
      all.map((one, k) => line(one.x, one.y, one.name || its.tag, COLOURS[k % COLOURS.length], zoomed ? singly(one) : {})),
      { x: axisName(its, unit), y: its.unit ? plain(its.unit) : "", showlegend: all.length > 1, ...beside },
    ];
  };
  if (!curves.some((one) => one.y.some(Number.isFinite))) return card(its, "No value is finite.");
  const zoom = host.finer && (async (low, high) =>
    drawn(await host.finer(curves, its.timed ? "time" : "step", low, high), true));
  const chart = charts.add(() => drawn(curves, false)(), `curve of ${its.tag}`, zoom);
  return updated(card(its, note, chart), (next) => { take(next); charts.changed(chart); });
}

// Few points in view: each is seen.
const singly = (one) => (one.number <= 100 ? { mode: "lines+markers" } : {});

function thinned(curves, zoomed, averaged = "") {
  const all = curves.reduce((sum, one) => sum + one.number, 0);
  const drawn = curves.reduce((sum, one) => sum + one.x.length, 0);
  const here = zoomed ? " in view" : "";
  if (all > drawn) return `${grouped(drawn)} of ${grouped(all)} points${here}, with all extremes${averaged}`;
  return zoomed ? `all ${grouped(all)} points in view` : "";
}

function imageCard(its, { unit }) {
  const picture = make("img", { alt: visible(its.tag), load: () => enlarge(picture) });
  return framesCard(its, unit, picture, "images");
}

function soundCard(its, { unit }) {
  return framesCard(its, unit, make("audio", { controls: true, "aria-label": visible(its.tag) }), "sounds");
}

// One of several images or sounds, with a slider to choose it.
function framesCard(its, unit, shown, what) {
  if (!its.frames.length) return card(its, `These ${what} are too large for a report.`);
  const show = (frame) => {
    if (!frame.address) shown.removeAttribute("src");
    else if (shown.getAttribute("src") !== frame.address) shown.src = frame.address;
  };
  const note = make("p", { className: "note" });
  const steps = stepper(its, unit, show, (now) => { note.textContent = leftOut(now, what); });
  return updated(card(its, note, make("div", { className: what === "images" ? "picture" : "sound" }, shown), steps), steps.take);
}

// A slider over frames, and what it shows: the last one at first. New ones may follow; who
// looks at the last one then sees the new last one.
function stepper(its, unit, show, told = () => {}) {
  const where = make("output", {});
  const slider = make("input", {
    type: "range", min: 0, "aria-label": `step of ${visible(its.tag)}`, input: () => go(),
  });
  const go = () => {
    const frame = its.frames[Number(slider.value)];
    show(frame);
    where.textContent = place(frame, unit);
  };
  const take = (next) => {
    const { step } = its.frames[Number(slider.value)], atLast = slider.value === slider.max;
    its = next;
    const last = its.frames.length - 1, same = its.frames.findIndex((one) => one.step === step);
    slider.max = last;
    slider.hidden = !last;
    slider.value = atLast || same < 0 ? last : same;
    told(its);
    go();
  };
  slider.max = slider.value = 0;
  take(its);
  return Object.assign(make("div", { className: "place" }, slider, where), { take });
}

const leftOut = (its, what) =>
  its.number > its.frames.length ? `${grouped(its.frames.length)} of ${grouped(its.number)} ${what}` : "";

// Small images are enlarged by a whole number, with sharp pixels.
function enlarge(picture) {
  const size = Math.max(picture.naturalWidth, picture.naturalHeight * 1.3);
  const times = Math.max(1, Math.floor(320 / size));
  picture.style.width = `${picture.naturalWidth * times}px`;
  picture.classList.toggle("pixels", times > 1);
}

function histogramCard(its, { charts, unit }) {
  const edges = unpacked(its.edges), x = unpacked(its.x), columns = its.shares.map(unpacked);
  if (!edges.length) return card(its, "These histograms are empty.");
  const centres = Array.from(edges.subarray(1), (edge, k) => edge / 2 + edges[k] / 2);
  const build = () => {
    if (columns.length === 1) {
      const widths = Array.from(edges.subarray(1), (edge, k) => edge - edges[k] || 1);
      const bars = {
        type: "bar", x: centres, y: columns[0], width: widths, marker: { color: COLOURS[0] },
        hovertemplate: "%{y:.6~g} values at %{x:.6~g}<extra></extra>",
      };
      return [[bars], { x: "value", y: "number of values" }];
    }
    const rows = centres.map((_, row) => columns.map((column) => column[row]));
    const map = {
      type: "heatmap", x, y: centres, z: rows, zsmooth: false,
      colorscale: [[0, "rgba(59,118,196,0)"], [1, "rgba(59,118,196,1)"]],
      colorbar: { thickness: 10, outlinewidth: 0, tickformat: ".0~%", title: { text: "share", font: { size: 11 } } },
      hovertemplate: "%{z:.1%} around %{y:.6~g} at %{x:.9~g}<extra></extra>",
    };
    return [[map], { x: axisName(its, unit), y: "value" }];
  };
  const left = its.number > x.length;
  return card(its, left ? `${grouped(x.length)} of ${grouped(its.number)} histograms` : "",
    charts.add(build, `histograms of ${its.tag}`));
}

function textCard(its, { unit }) {
  const left = its.number - its.texts.length;
  return card({ ...its, wide: true }, left ? `the last ${its.texts.length} of ${grouped(its.number)} texts` : "",
    its.texts.map((one) => make("div", { className: "text" },
      make("p", { className: "note" }, place(one, unit)),
      make("pre", {}, visible(one.text, "\n\t"), one.left ? `\n... and ${grouped(one.left)} characters more` : ""))));
}

/* -- rasters and matrices ----------------------------------------------------------- */

// Of groups of neurons, those of the pictures; they are told apart by the colour-blind.
const GROUPS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
const FAINTEST = 0.5, RANGE = 8; // of ink, as in the pictures
const DOTS = 12; // pixels: the largest mark of a spike

// An axis of whole numbers.
const counted = (number) => ({ zeroline: false, tickformat: ",d", ...(number < 8 ? { tick0: 0, dtick: 1 } : {}) });

// A number beside a colour bar.
function short(number) {
  const text = number.toPrecision(4);
  return Math.abs(number) < 1e6 ? String(Number(text)) : text;
}

// A chart of frames, with a slider. `draw` returns the traces and the layout of one, and
// `note` what is said of it. A server has what is not here, and `part` of a frame.
function chartOfFrames(its, { charts, unit, run, host }, what, draw, note, part = null) {
  if (!its.frames.length) return card(its, `These ${what} are too large for a report.`);
  let frame = null, wanted = null, asked = null, answer = null;
  const text = make("p", { className: "note" }), picture = make("img", { alt: visible(its.tag) });
  const instead = make("div", { className: "picture", hidden: true }, picture);
  const isPicture = (one) => one.address !== undefined; // and nothing else
  const tell = (now, where = "") => {
    text.textContent = [isPicture(now) ? "" : note(now, where), leftOut(its, what)].filter(Boolean).join(" · ");
  };
  const take = (now) => {
    frame = now;
    box.hidden = isPicture(now);
    instead.hidden = !box.hidden;
    if (box.hidden) picture.src = now.address;
    tell(now);
  };
  // What a server has of the wanted frame is asked for when it is drawn, or zoomed into.
  const got = async () => {
    const now = wanted;
    if (frame?.of === now) return;
    if (asked !== now) answer = isPicture(now) ? Promise.resolve({}) : host.frame({ run, tag: its.tag, at: now.at });
    asked = now;
    const found = await answer.catch(() => { asked = null; }); // the host says why
    if (!found || wanted !== now || frame?.of === now) return;
    take({ ...now, ...found, of: now });
    charts.changed(box);
  };
  const zoom = part && host.frame && (async (...range) => {
    await got();
    const whole = frame, where = whole && !isPicture(whole) && part(whole, ...range);
    if (!where) return null;
    const found = { ...whole, points: null, cells: null, ...await host.frame({ run, tag: its.tag, at: whole.at, ...where }) };
    return () => { tell(found, " in view"); return draw(found, box); };
  });
  const box = charts.add(() => {
    if (host.frame) got();
    if (!frame || isPicture(frame)) return [[], {}];
    tell(frame);
    return draw(frame, box);
  }, `${what} of ${its.tag}`, zoom);
  box.classList.add("tall");
  const steps = stepper(its, unit, (now) => {
    const first = !wanted;
    if (host.frame && !first && wanted.at === now.at && wanted.step === now.step) return;
    wanted = now;
    if (!host.frame) take(now);
    if (first) return; // it is drawn when it comes into view
    if (!host.frame) charts.redraw(box);
    else if (box.hidden) got();
    else charts.changed(box);
  });
  return updated(card(its, text, box, instead, steps), (next) => { its = next; steps.take(next); });
}

// From the first number of a cell to its last one.
function span(first, size, end) {
  const last = Math.min(first + size, end) - 1;
  return last > first ? `s ${grouped(first)} to ${grouped(last)}` : ` ${grouped(first)}`;
}

// Cells: their edges and values, row by row, and a text for each.
function cellsOf({ x, y, shape: [rows, columns], z }, text) {
  const values = typed(z);
  const grid = (cell) => Array.from({ length: rows }, (_, row) => Array.from({ length: columns }, (_, column) => cell(row, column)));
  const edges = ([start, size, end], number) => Array.from({ length: number + 1 }, (_, k) => Math.min(start + k * size, end));
  const at = (row, column) => Number(values[row * columns + column]);
  return { x: edges(x, columns), y: edges(y, rows), at, grid, text: grid((row, column) => text(row, column, at(row, column))) };
}

function rasterCard(its, context) {
  const note = (frame, where) => [
    `${grouped(frame.number)} spike${frame.number === 1 ? "" : "s"}${where}`,
    frame.outside ? `${grouped(frame.outside)} more outside of the axes` : "",
    frame.cells ? "counted in cells: the stronger the colour, the more" : "",
  ].filter(Boolean).join(" · ");
  // Of a part of the axes; nothing, if all of them are in view.
  const part = ({ limits: [start, end, first, neurons], scale }, low, high, bottom, top) => {
    const its = { from: low / scale, to: high / scale, first: Math.ceil(bottom), last: Math.floor(top) };
    const all = its.from <= start && its.to >= end && its.first <= first && its.last >= first + neurons - 1;
    return all ? null : its;
  };
  return chartOfFrames(its, context, "rasters", drawRaster, note, part);
}

function drawRaster(frame) {
  const { scale, groups } = frame, unit = plain(frame.unit).replace(/%/g, ""); // in templates
  const [start, end, first, neurons] = frame.limits;
  const colour = (k) => (groups.length ? GROUPS[k % GROUPS.length] : COLOURS[0]);
  const named = (k) => plain(groups[k] ?? (groups.length ? "others" : "spikes"));
  const kinds = groups.length ? groups.length + 1 : 1, traces = [];
  const inUnit = (text) => (unit === "steps" ? `step ${text}` : unit ? `${text} ${unit}` : text);
  if (frame.points) {
    if (!frame.number) traces.push({ type: "scatter", showlegend: false, x: [null], y: [null] }); // for the axes
    const x = Array.from(typed(frame.points.x), (one) => one * scale), y = Array.from(typed(frame.points.y));
    const of = frame.points.of ? typed(frame.points.of) : null;
    const size = Math.max(frame.rows && frame.number < 200 ? 6 : 3, Math.min(DOTS, 150 / (frame.rows ?? neurons)));
    for (let k = 0; k < kinds; k += 1) {
      const mine = (_, i) => !of || of[i] === k;
      const its = x.filter(mine);
      if (!its.length) continue;
      traces.push({
        type: "scatter", mode: "markers", name: named(k), showlegend: false, x: its, y: y.filter(mine),
        marker: size > 5 ? { symbol: "line-ns-open", size, color: colour(k), line: { width: 1.5 } } : { size, color: colour(k) },
        hovertemplate: `${inUnit("%{x:.9~g}")}, neuron %{y}${groups.length ? ", %{fullData.name}" : ""}<extra></extra>`,
      });
    }
  } else {
    const its = frame.cells, of = its.of ? typed(its.of) : null, columns = its.shape[1];
    const cells = cellsOf(its, (row, column, number) => {
      const from = its.x[0] + column * its.x[1], to = Math.min(from + its.x[1], end);
      return `${grouped(number)} spike${number === 1 ? "" : "s"}, ${inUnit(`${said(from * scale)} to ${said(to * scale)}`)}, neuron${span(its.y[0] + row * its.y[1], its.y[1], its.y[2])}`;
    });
    const most = typed(its.z).reduce((a, b) => Math.max(a, b), 1);
    const ink = (number) => 1 - (1 - FAINTEST) * Math.min(Math.log(most / number) / Math.log(RANGE), 1);
    for (let k = 0; k < kinds; k += 1) {
      traces.push({
        type: "heatmap", name: named(k), x: cells.x.map((one) => one * scale), y: cells.y.map((one) => one - 0.5),
        z: cells.grid((row, column) => {
          const number = cells.at(row, column);
          return number && (!of || of[row * columns + column] === k) ? ink(number) : null;
        }),
        zmin: 0, zmax: 1, colorscale: [[0, `${colour(k)}00`], [1, `${colour(k)}ff`]], showscale: false, zsmooth: false,
        hoverongaps: false, text: cells.text, hovertemplate: "%{text}<extra></extra>",
      });
    }
  }
  const { rates } = frame, [from, width] = rates.x;
  rates.y.forEach((one, k) => {
    const y = Array.from(typed(one));
    traces.push({
      type: "scatter", mode: "lines", yaxis: "y2", name: named(k),
      x: y.map((_, i) => Math.min(from + (i + 0.5) * width, end) * scale), y,
      line: { color: groups.length ? colour(k) : "#8a8f98", width: 1.2, shape: "hvh" }, fill: groups.length ? "none" : "tozeroy",
      hovertemplate: `%{y:.4~g} ${plain(rates.unit)} at ${inUnit("%{x:.6~g}")}${groups.length ? ", %{fullData.name}" : ""}<extra></extra>`,
    });
  });
  return [traces, {
    x: unit === "steps" ? "step" : `time${unit ? ` (${unit})` : ""}`, y: "neuron", showlegend: groups.length > 0,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", itemclick: false, itemdoubleclick: false },
    xaxis: { range: [start * scale, end * scale], zeroline: false, anchor: "y2" },
    yaxis: { range: [first - 0.5, first + neurons - 0.5], domain: [0.27, 1], ...counted(neurons) },
    yaxis2: { name: plain(rates.unit), domain: [0, 0.22], rangemode: "tozero", nticks: 3, fixedrange: true, zeroline: false },
  }];
}

function matrixCard(its, context) {
  const note = ({ cells: { x, y } }) => {
    const size = `${grouped(y[2])} × ${grouped(x[2])}`;
    return x[1] * y[1] > 1 ? `${size}, each cell is the value farthest from 0 of ${y[1]} × ${x[1]}` : size;
  };
  const value = its.unit ? ` ${plain(its.unit)}` : "";
  return chartOfFrames(its, context, "matrices", (frame, box) => drawMatrix(frame, box, value), note);
}

function drawMatrix(frame, box, unit) {
  const { low, high, split, cells: its } = frame;
  const level = (one) => {
    if (Number.isNaN(one)) return null;
    const scaled = split ? 0.5 + one / (one < 0 ? -low : high) / 2 : (one / 2 - low / 2) / ((high / 2 - low / 2) || 1);
    return Math.max(0, Math.min(1, scaled));
  };
  const cells = cellsOf(its, (row, column, one) =>
    `${Number.isNaN(one) ? "nothing" : said(one) + unit} at row${span(row * its.y[1], its.y[1], its.y[2])}, column${span(column * its.x[1], its.x[1], its.x[2])}`);
  const last = frame.colours.length - 1, [rows, columns] = its.shape;
  const ticks = low === high ? [[0], [low]] : split ? [[0, 0.5, 1], [low, 0, high]] : [[0, 1], [low, high]];
  const texts = ticks[1].map(short);
  const map = {
    type: "heatmap", x: cells.x.map((one) => one - 0.5), y: cells.y.map((one) => one - 0.5),
    z: cells.grid((row, column) => level(cells.at(row, column))), zmin: 0, zmax: 1, zsmooth: false,
    colorscale: frame.colours.map((one, k) => [k / last, one]),
    colorbar: { thickness: 10, outlinewidth: 0, tickvals: ticks[0], ticktext: texts, title: { text: unit, font: { size: 11 } } },
    text: cells.text, hoverongaps: true, hovertemplate: "%{text}<extra></extra>",
  };
  // Squares, if they are not too long for it, with their bar beside them.
  const alike = rows / columns > 0.4 && rows / columns < 2.5;
  const room = box.clientWidth - 90 - 7 * Math.max(...texts.map((one) => one.length)), wide = alike ? ((box.clientHeight - 50) * columns) / rows : room;
  const free = Math.max(0, Math.min(0.4, (1 - wide / room) / 2));
  map.colorbar.x = 1 - free;
  return [[map], {
    x: "column", y: "row", plot_bgcolor: frame.nothing,
    xaxis: { range: [-0.5, its.x[2] - 0.5], domain: [free, 1 - free], constrain: "domain", showgrid: false, ...counted(its.x[2]) },
    yaxis: {
      range: [its.y[2] - 0.5, -0.5], constrain: "domain", showgrid: false, ...counted(its.y[2]),
      ...(alike ? { scaleanchor: "x", scaleratio: its.x[1] / its.y[1] } : {}),
    },
  }];
}

// Fragments of HTML, each in a frame that may do nothing: no scripts, no requests.
function htmlCard(its, { unit }) {
  const left = its.number - its.pages.length;
  return card({ ...its, wide: true }, left ? `${its.pages.length} of ${grouped(its.number)} fragments` : "",
    its.pages.map((one) => {
      const frame = make("iframe", { title: visible(its.tag), className: "fragment" });
      frame.setAttribute("sandbox", "");
      frame.srcdoc = one.page;
      return make("div", { className: "text" }, make("p", { className: "note" }, place(one, unit)), frame);
    }));
}

// How each kind is drawn.
const CARDS = {
  scalar: scalarCard, image: imageCard, raster: rasterCard, matrix: matrixCard, audio: soundCard,
  histogram: histogramCard, text: textCard, html: htmlCard,
};

// The cards of tags, in groups by the part of the tag before the first slash. They are
// kept in an element, and take new data.
class Cards {
  constructor(context, kinds = CARDS, inOrder = inGroups) {
    this.element = make("div", {});
    this.context = context;
    this.kinds = kinds;
    this.inOrder = inOrder;
    this.kept = new Map();
    this.order = "";
  }

  show(all) {
    const keys = all.map((its) => `${its.kind} ${its.tag}`), order = keys.join("\n");
    const kept = new Map(all.map((its, k) => [keys[k], this.card(its, this.kept.get(keys[k]))]));
    this.kept = kept;
    if (order !== this.order || !order) this.element.replaceChildren(...this.inOrder([...kept.values()]));
    this.order = order;
    this.context.charts.clean();
  }

  card(its, known) {
    if (!Object.hasOwn(this.kinds, its.kind)) return { its };
    const text = this.context.host.follow ? JSON.stringify(its) : "";
    if (known && known.text === text) return known;
    if (known?.element.take) {
      known.element.take(its);
      return { ...known, its, text };
    }
    const element = this.kinds[its.kind](its, this.context);
    known?.element.replaceWith(element);
    return { its, text, element };
  }
}

function inGroups(all) {
  const groups = new Map();
  for (const { its, element } of all.filter((one) => one.element)) {
    const group = its.tag.includes("/") ? its.tag.slice(0, its.tag.indexOf("/")) : "";
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push(element);
  }
  const made = [...groups].map(([group, its]) => make("section", { className: "group" },
    group ? make("h2", {}, visible(group)) : null, make("div", { className: "cards" }, its)));
  const others = all.filter((one) => !one.element).map(({ its }) => `${visible(its.tag)} (${visible(its.kind || "unknown")})`);
  if (others.length) made.push(make("p", { className: "note" }, `Not shown here: ${others.join(", ")}`));
  return made;
}

/* -- a run -------------------------------------------------------------------------- */

function status(its) {
  return make("span", { className: `status ${its.status}` }, its.status);
}

function facts(title, entries) {
  if (!entries.length) return null;
  return make("section", { className: "facts" }, make("h2", {}, title), listed(entries));
}

function listed(entries) {
  const rows = entries.map(([name, value]) =>
    make("tr", {}, make("th", { scope: "row" }, visible(name)), make("td", {}, visible(said(value), "\n"))));
  return make("table", {}, make("tbody", {}, rows));
}

function remarks(all) {
  if (!all.length) return null;
  return make("section", { className: "remarks", "aria-label": "Remarks" },
    make("ul", {}, all.map((one) => make("li", {}, visible(one)))));
}

function ending(its) {
  const odd = Object.entries(its.odd).map(([tag, step]) => `${visible(tag)} at step ${said(step)}`);
  const text = [];
  if (its.error) text.push(`${its.error.type ?? "Error"}: ${its.error.message ?? ""}`);
  return [
    text.length ? make("pre", { className: "error" }, visible(text[0], "\n")) : null,
    odd.length ? make("p", { className: "odd" }, make("strong", {}, "Not finite: "), `first ${odd.join(", ")}`) : null,
  ];
}

// Seldom asked for, and long: it opens with a click, and on paper.
function closed(title, entries, open) {
  return make("details", { className: "facts", open }, make("summary", {}, make("h2", {}, title)), listed(entries));
}

function stack(all) {
  const there = all.filter((one) => one !== null);
  return there.length ? make("div", { className: "stack" }, there) : null;
}

function origin(data) {
  const { git, ...others } = data.origin;
  const commit = git?.commit && ["commit", `${String(git.commit).slice(0, 12)}${git.dirty ? ", with changes" : ""}`];
  return [["directory", data.path], ...(commit ? [commit] : []), ...Object.entries(others)];
}

function showRun(root, first, charts, host) {
  const header = make("header", {}), remarked = make("div", {}), about = make("div", { className: "about" });
  const all = new Cards({ charts, unit: first.unit, run: first.run.name, host });
  let known = "";
  root.replaceChildren(header, remarked, about, all.element, footer(first));

  return (data) => {
    const its = data.run, unit = data.unit;
    const took = its.status === "running" ? "running for" : "took";
    const when = [
      its.started && `started ${date(its.started)}`,
      its.duration !== null && `${took} ${duration(its.duration)}`,
      its.written && `last record ${date(its.written)}`,
    ].filter(Boolean);
    header.replaceChildren(...[
      make("h1", {}, visible(its.name), " ", status(its)),
      make("p", { className: "when" }, when.join(" · ")),
      ...ending(its)].filter(Boolean));
    remarked.replaceChildren(remarks(data.remarks) ?? "");
    const facts = JSON.stringify([its.results, its.params, data.phases, data.notes, data.sessions, data.origin]);
    if (facts !== known) about.replaceChildren(...factsOf(data, unit, about.querySelector("details")?.open));
    known = facts;
    all.show(data.cards);
  };
}

// What is known about a run beside its data.
function factsOf(data, unit, open = false) {
  const its = data.run;
  const phases = data.phases.map((one) => [
    `${one.number} ${one.name}`,
    date(one.began) +
      (one.ended ? `, took ${duration((new Date(one.ended) - new Date(one.began)) / 1000)}` : "") +
      (one.time ? `, begins at ${said(one.time)}${unit ? ` ${unit}` : ""}` : ""),
  ]);
  const sessions = data.sessions.map((one) => [date(one.start), `${said(one.kind)}, ${said(one.status)}`]);
  const notes = data.notes.map((one) => [date(one?.date), `${said(one?.user)}: ${said(one?.text)}`]);
  return [
    [facts("Results", Object.entries(its.results)), facts("Phases", phases), facts("Notes", notes),
      sessions.length > 1 ? facts("Sessions", sessions) : null],
    [facts("Parameters", Object.entries(its.params))],
    [closed("Origin", origin(data), open)],
  ].map(stack).filter(Boolean);
}

function footer(data) {
  return make("footer", {}, data.made ? `Made ${date(data.made)} by annarchy_tb` : "");
}

/* -- runs --------------------------------------------------------------------------- */

const MOST_COLUMNS = 40; // that are shown at first

// The columns of the table: what is shown in a cell, and what it is sorted by. A page that
// knows what time it is says how old a run is; others say when it was written to last.
function columnsOf(runs, now) {
  const minute = (text) => date(text).slice(0, 16);
  const since = (text) => (text ? Math.max(0, (new Date(now) - new Date(text)) / 1000) : null);
  const last = (run) => since(run.ended ?? run.written);
  const took = (run) => run.duration ?? (run.status === "running" && now ? since(run.started) : null);
  const own = [
    { name: "status", value: (run) => run.status, cell: status },
    ...(now ? [{ name: "age", value: last, text: (run) => ago(last(run)), title: "since the last record, or the end" }] : []),
    { name: "phase", rare: true, value: (run) => run.phase },
    { name: "error", rare: true, value: (run) => (run.error ? `${run.error.type ?? ""}: ${run.error.message ?? ""}` : null) },
    { name: "not finite", rare: true, value: (run) => Object.entries(run.odd).map(([tag, step]) => `${tag} at ${step}`).join(", ") || null },
    { name: "started (UTC)", date: true, value: (run) => run.started, text: (run) => minute(run.started) },
    { name: "duration", value: took, text: (run) => duration(took(run)) },
    ...(now ? [] : [{ name: "last record (UTC)", rare: true, date: true, value: (run) => run.written, text: (run) => minute(run.written) }]),
  ];
  const fields = (field, title) => {
    const names = [...new Set(runs.flatMap((run) => Object.keys(run[field])))];
    return names.map((name) => ({
      name, field, title, value: (run) => (Object.hasOwn(run[field], name) ? run[field][name] : null),
    }));
  };
  const all = [...own, ...fields("params", "parameter"), ...fields("results", "result")];
  let left = MOST_COLUMNS;
  for (const column of all) {
    column.key = `${column.field ?? ""} ${column.name}`;
    column.text ??= (run) => said(column.value(run));
    const values = runs.map((run) => JSON.stringify(column.value(run)));
    const differs = new Set(values).size > 1 || runs.length === 1;
    const any = values.some((value) => value !== "null");
    column.shown = column.field === "params" ? differs : !column.rare || any;
    if (column.shown) left -= 1;
    if (left < 0) column.shown = false;
    column.differs = differs;
    column.numeric = runs.every((run) => column.value(run) === null || typeof column.value(run) === "number");
  }
  return all;
}

function ordered(runs, column, down) {
  const keys = new Map(runs.map((run) => [run, column.value(run)]));
  const there = runs.filter((run) => keys.get(run) !== null);
  const texts = there.some((run) => typeof keys.get(run) !== "number");
  const text = (run) => (typeof keys.get(run) === "object" ? said(keys.get(run)) : String(keys.get(run)));
  there.sort((a, b) => texts
    ? text(a).localeCompare(text(b), "en", { numeric: !column.date })
    : keys.get(a) - keys.get(b));
  if (down) there.reverse();
  return [...there, ...runs.filter((run) => keys.get(run) === null)];
}

// Mean, standard deviation and number of curves, on the union of their places, or on an
// even grid. A curve does not count outside of its range, nor where it is not finite.
export function average(curves, most = 1000) {
  const sorted = curves.map(({ x, y }) => {
    const rows = Array.from(x.keys()).filter((k) => Number.isFinite(x[k]) && Number.isFinite(y[k]));
    rows.sort((a, b) => x[a] - x[b]);
    return { x: rows.map((k) => x[k]), y: rows.map((k) => y[k]) };
  }).filter((one) => one.x.length);
  let places = [...new Set(sorted.flatMap((one) => one.x))].sort((a, b) => a - b);
  if (places.length > most) {
    const low = places[0], high = places[places.length - 1];
    places = Array.from({ length: most }, (_, k) => low + ((high - low) * k) / (most - 1));
  }
  const found = { x: places, mean: [], deviation: [], number: [] };
  const at = sorted.map(() => 0);
  for (const place of places) {
    const values = [];
    sorted.forEach(({ x, y }, k) => {
      if (place < x[0] || place > x[x.length - 1]) return;
      while (at[k] + 1 < x.length && x[at[k] + 1] <= place) at[k] += 1;
      const low = at[k];
      const part = low + 1 < x.length ? (place - x[low]) / (x[low + 1] - x[low]) : 0;
      values.push(part ? y[low] + part * (y[low + 1] - y[low]) : y[low]);
    });
    const number = values.length, mean = values.reduce((sum, one) => sum + one, 0) / number;
    const squares = values.reduce((sum, one) => sum + (one - mean) ** 2, 0);
    found.mean.push(number ? mean : NaN);
    found.deviation.push(number > 1 ? Math.sqrt(squares / (number - 1)) : NaN);
    found.number.push(number);
  }
  return found;
}

// The chosen runs in groups by the value of a column, with a colour for each group.
function grouping(runs, column) {
  if (!column) return runs.map((run) => ({ name: run.name, runs: [run], colour: COLOURS[run.index % COLOURS.length] }));
  if (column === "all") return [{ name: "all", runs, colour: COLOURS[0] }];
  const groups = new Map();
  for (const run of ordered(runs, column, false)) {
    const name = column.value(run) === null ? "(none)" : column.text(run);
    if (!groups.has(name)) groups.set(name, { name, runs: [], value: column.value(run) });
    groups.get(name).runs.push(run);
  }
  const found = [...groups.values()];
  const scaled = column.numeric && found.length > 2;
  const coloured = scaled ? found.filter((one) => one.value !== null) : found;
  coloured.forEach((one, k) => {
    one.colour = scaled ? shade(k / (coloured.length - 1)) : COLOURS[k % COLOURS.length];
  });
  for (const one of found) one.colour ??= "#8a8f98";
  return found;
}

function showRuns(root, first, charts, host) {
  const state = {
    chosen: new Set(), touched: false, column: "", down: false, words: [], shown: new Map(), group: "", mean: false,
  };
  const nameColumn = { key: "run", name: "run", value: (run) => run.name, text: (run) => run.name };
  const numbers = new Map(); // of the runs by their names: colours stay
  const rows = new Map(); // of the table, by the names of their runs
  let data = first, runs = [], columns = [], compares = "";

  const body = make("tbody", {}), headRow = make("tr", {}), count = make("p", { className: "note", "aria-live": "polite" });
  const legend = make("div", { className: "legend" }), remarked = make("div", {}), menu = make("div", {});
  const group = make("select", {
    change: () => {
      state.group = group.value;
      mean.disabled = !state.group;
      if (mean.disabled) mean.checked = state.mean = false;
      update();
    },
  });
  const mean = make("input", { type: "checkbox", disabled: true, change: () => { state.mean = mean.checked; update(); } });
  const filter = make("input", {
    type: "search", placeholder: "words in any column",
    input: () => { state.words = filter.value.toLowerCase().split(/\s+/).filter(Boolean); update(); },
  });

  const column = (key) => [nameColumn, ...columns].find((one) => one.key === key) ?? null;
  const coloured = () => (state.group === "all" ? "all" : column(state.group));
  const able = (run) => Boolean(host.curves) || data.drawable.has(run.name);
  const shownRuns = () => {
    const shown = [nameColumn, ...columns];
    const kept = !state.words.length ? runs : runs.filter((run) => {
      const text = shown.map((one) => visible(one.text(run))).join("\n").toLowerCase();
      return state.words.every((word) => text.includes(word));
    });
    const by = column(state.column);
    return by ? ordered(kept, by, state.down) : kept;
  };
  const chosenRuns = () => shownRuns().filter((run) => state.chosen.has(run.name)).sort((a, b) => a.index - b.index);
  const choose = (names, on) => {
    state.touched = true;
    for (const name of names) state.chosen[on ? "add" : "delete"](name);
    update();
  };

  const heading = (its) => {
    const sorted = state.column === its.key;
    return make("th", {
      scope: "col", className: its.numeric ? "number" : "",
      "aria-sort": sorted ? (state.down ? "descending" : "ascending") : "none",
    }, make("button", {
      type: "button", title: its.title ?? "",
      click: () => {
        state.down = sorted && !state.down;
        state.column = its.key;
        table();
      },
    }, visible(its.name), make("span", { className: "arrow", "aria-hidden": "true" }, sorted ? (state.down ? " ▼" : " ▲") : "")));
  };

  // A row of the table; that of before, if nothing of it has changed.
  const row = (run, shown, colour) => {
    const chosen = state.chosen.has(run.name), texts = shown.map((its) => visible(its.text(run)));
    const known = JSON.stringify([run.status, chosen, colour, shown.map((its) => its.key), texts]);
    if (rows.get(run.name)?.known === known) return rows.get(run.name);
    const choice = make("input", {
      type: "checkbox", checked: chosen, "aria-label": `choose ${visible(run.name)}`, disabled: !able(run),
      change: () => choose([run.name], choice.checked),
    });
    choice.style.accentColor = colour;
    const name = !host.open ? visible(run.name) : make("a", {
      href: host.link(run.name), target: "_parent",
      click: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        host.open(run.name);
      },
    }, visible(run.name));
    const made = make("tr", {},
      make("td", { className: "choice" }, choice), make("th", { scope: "row" }, name),
      shown.map((its, k) => make("td", { className: its.numeric ? "number" : its.rare ? "rare" : "", title: its.rare ? texts[k] : "" },
        its.cell ? its.cell(run) : texts[k])));
    rows.set(run.name, Object.assign(made, { known, its: run.name }));
    return made;
  };

  function table() {
    const shown = columns.filter((one) => one.shown), listed = shownRuns(), free = listed.filter(able);
    const colours = new Map(grouping(chosenRuns(), coloured()).flatMap((one) => one.runs.map((run) => [run, one.colour])));
    const every = make("input", {
      type: "checkbox", "aria-label": "choose all", disabled: !free.length,
      checked: free.length > 0 && free.every((run) => state.chosen.has(run.name)),
      change: () => choose(free.map((run) => run.name), every.checked),
    });
    every.indeterminate = !every.checked && free.some((run) => state.chosen.has(run.name));
    const heads = [make("td", { className: "choice" }, every), ...[nameColumn, ...shown].map(heading)];
    const all = listed.map((run) => row(run, shown, colours.get(run) ?? ""));
    const focused = focusIn([headRow, body]);
    headRow.replaceChildren(...heads);
    if (all.length !== body.children.length || all.some((one, k) => one !== body.children[k])) body.replaceChildren(...all);
    focused();
    count.textContent = `${grouped(listed.length)} of ${grouped(runs.length)} runs, ${grouped(chosenRuns().length)} chosen`;
  }

  // Show what is chosen, if it is not what is shown already.
  function update() {
    table();
    const now = JSON.stringify([chosenRuns(), state.group, state.mean]);
    if (now === compares) return;
    compares = now;
    if (host.plots) host.plots(chosenRuns(), showPlots);
    else compare();
  }

  function compare() {
    const groups = grouping(chosenRuns(), coloured());
    const colours = new Map(groups.flatMap((one) => one.runs.map((run) => [run.name, one.colour])));
    for (const { element } of lasts.kept.values()) element.show(colours);
    legend.replaceChildren(...(state.group ? [
      make("span", {}, state.group === "all" ? "" : `${visible(coloured()?.name ?? "")}:`),
      ...groups.map((one) => {
        const swatch = make("i", {});
        swatch.style.background = one.colour;
        return make("span", {}, swatch, `${visible(one.name)} (${one.runs.length})`);
      })] : []));
    charts.changed();
  }

  // A plot: the curves of all runs that were chosen. The card is the one of its tag.
  function plotCard(its) {
    const note = make("p", { className: "note" });
    const curvesNow = () => {
      const chosen = chosenRuns(), all = host.curves ? host.curves(its.tag, chosen, () => charts.changed(box)) : its.curves;
      const names = new Set(chosen.map((run) => run.name));
      const here = all.filter((one) => names.has(one.run));
      if (!host.curves) return here;
      const timed = here.every((one) => one.times) && new Set(here.map((one) => one.unit)).size < 2;
      its = { ...its, timed, time: here[0]?.unit };
      return timed ? here.map((one) => ({ ...one, x: one.times, means: one.means && { ...one.means, x: one.means.times } })) : here;
    };
    const drawn = (all, zoomed) => () => {
      const names = [...new Set(all.map((one) => one.name))], traces = [];
      for (const one of grouping(chosenRuns(), coloured()))
        names.forEach((name, k) => traces.push(...compared(one, name, all.filter((curve) => curve.name === name), DASHES[k % DASHES.length], state.mean, zoomed)));
      const dashes = names.length > 1
        ? names.map((name, k) => `${visible(name || its.tag)}: ${DASHES[k % DASHES.length]}`).join(", ") : "";
      const averaged = state.mean ? "; averages are of the means of equal parts" : "";
      note.textContent = [dashes, thinned(all, zoomed, averaged)].filter(Boolean).join(" · ");
      return [traces, { x: axisName(its, its.time ?? data.unit), y: its.unit ? plain(its.unit) : "", showlegend: false }];
    };
    const zoom = host.finer && (async (low, high) => {
      if (state.mean) return null;
      const all = curvesNow();
      return drawn(await host.finer(all, its.timed ? "time" : "step", low, high), true);
    });
    const box = charts.add(() => drawn(curvesNow(), false)(), `curves of ${its.tag}`, zoom);
    return updated(card(its, note, box), (next) => { its = next; charts.changed(box); });
  }

  const cards = new Cards({ charts, host }, { chart: plotCard });
  const lasts = new Cards({ charts, host }, { last: lastCard }, (all) => [make("section", { className: "group" },
    make("h2", {}, "The last rasters and matrices"), make("div", { className: "cards" }, all.map((one) => one.element)))]);
  const above = make("div", { className: "controls curves" },
    make("label", {}, "Colour by ", group), make("label", {}, mean, " mean ± standard deviation"), legend);
  const left = make("p", { className: "note" },
    first.runs.length > first.drawn ? `Curves are here of the newest ${grouped(first.drawn)} runs.` : "");
  function showPlots(all, pictures, waiting = 0) {
    if (host.plots) left.textContent = waiting ? `Reading ${grouped(waiting)} run${waiting > 1 ? "s" : ""} …` : "";
    above.hidden = !all.length && !pictures.length;
    cards.show(all.map((its) => ({ ...its, kind: "chart" })));
    lasts.show(pictures.map((its) => ({ ...its, kind: "last" })));
    lasts.element.hidden = !pictures.length;
    compare();
  }

  function take(next) {
    data = { ...next, drawable: new Set() };
    for (const run of data.runs) if (!numbers.has(run.name)) numbers.set(run.name, numbers.size);
    runs = data.runs.map((run) => ({ ...run, index: numbers.get(run.name) }));
    columns = columnsOf(runs, data.now);
    for (const one of columns) one.shown = state.shown.get(one.key) ?? one.shown;
    for (const name of rows.keys()) if (!runs.some((run) => run.name === name)) rows.delete(name);
    const name = (one) => ({ ...one, run: runs[one.run].name });
    const plots = (data.cards ?? []).map((its) => ({ ...its, curves: its.curves.map((one) => ({
      ...name(one), tag: its.tag, x: unpacked(one.x), y: unpacked(one.y),
      means: one.means && { x: unpacked(one.means.x), y: unpacked(one.means.y) },
    })) }));
    const pictures = (data.pictures ?? []).map((its) => ({ ...its, frames: its.frames.map(name) }));
    for (const one of [...plots.flatMap((its) => its.curves), ...pictures.flatMap((its) => its.frames)]) data.drawable.add(one.run);
    if (!state.touched) state.chosen = new Set(runs.filter(able).slice(0, host.most ?? 30).map((run) => run.name));
    const options = columns.filter((one) => one.differs && (one.field || one.name === "status"));
    const option = (value, text) => make("option", { value, selected: value === state.group }, text);
    group.replaceChildren(option("", "run"), option("all", "all together"), ...options.map((one) => option(one.key, visible(one.name))));
    menu.replaceChildren(...columns.map((one) => {
      const box = make("input", {
        type: "checkbox", checked: one.shown,
        change: () => { state.shown.set(one.key, box.checked); one.shown = box.checked; table(); },
      });
      return make("label", {}, box, ` ${visible(one.name)}`);
    }));
    remarked.replaceChildren(remarks(data.remarks) ?? "");
    if (!host.plots) showPlots(plots, pictures);
    update();
  }

  root.replaceChildren(
    make("header", {}, make("h1", {}, visible(first.name)), make("p", { className: "when" }, visible(first.path))),
    remarked,
    make("div", { className: "controls" },
      make("label", {}, "Filter ", filter),
      make("details", { className: "columns" }, make("summary", {}, "Columns"), menu),
      count),
    make("div", { className: "table", tabIndex: 0, role: "region", "aria-label": "Runs" },
      make("table", {}, make("thead", {}, headRow), body)),
    above, left, cards.element, lasts.element, footer(first));
  return take;
}

// The last picture of each chosen run, side by side.
function lastCard(its) {
  const box = make("div", { className: "lasts" }), note = make("p", { className: "note" });
  const images = new Map();
  const image = ({ run, address }) => {
    if (!images.has(run)) images.set(run, make("img", { alt: `${visible(its.tag)} of ${visible(run)}` }));
    if (images.get(run).getAttribute("src") !== address) images.get(run).src = address;
    return images.get(run);
  };
  const show = (colours) => {
    const there = its.frames.filter((one) => colours.has(one.run));
    box.replaceChildren(...there.map((one) => {
      const swatch = make("i", {});
      swatch.style.background = colours.get(one.run);
      return make("figure", {}, image(one),
        make("figcaption", {}, swatch, visible(one.run), make("span", {}, ` step ${grouped(one.step)}`)));
    }));
    const none = there.length ? "" : "None of the chosen runs has one.";
    note.textContent = none || (its.left ? `Of the newest ${grouped(its.frames.length)} runs; ${grouped(its.left)} more have one.` : "");
  };
  const made = make("section", { className: "card wide" }, make("h3", {}, visible(its.tag)), box, note);
  return Object.assign(updated(made, (next) => { its = next; }), { show });
}

// The curves of a name that the runs of a group have on a plot, or their mean in a band.
function compared(group, name, curves, dash, averaged, zoomed) {
  const runs = new Set(group.runs.map((run) => run.name));
  const part = curves.filter((one) => runs.has(one.run));
  const label = (first) => (name ? `${first}, ${name}` : first);
  if (!averaged || !part.length)
    return part.map((one) => line(one.x, one.y, label(one.run), group.colour, { dash, ...(zoomed ? singly(one) : {}) }));
  const found = average(part.map((one) => one.means ?? one));
  const low = found.mean.map((one, i) => one - found.deviation[i]);
  const high = found.mean.map((one, i) => one + found.deviation[i]);
  const edge = { mode: "lines", line: { width: 0 }, hoverinfo: "skip", hovertemplate: null, showlegend: false };
  return [
    ...bands(found.x, low, high).flatMap((band) => [
      { type: "scatter", x: band.x, y: band.low, ...edge },
      { type: "scatter", x: band.x, y: band.high, fill: "tonexty", fillcolor: faint(group.colour), ...edge },
    ]),
    line(found.x, found.mean, label(group.name), group.colour, {
      dash, customdata: found.deviation.map((one, i) => [Number.isFinite(one) ? ` ± ${said(one)}` : "", found.number[i]]),
      hovertemplate: "%{y:.6~g}%{customdata[0]} at %{x:.9~g}, n = %{customdata[1]}",
    }),
  ];
}

// Remember which control in some rows has the focus, for when they are made anew.
function focusIn(parts) {
  const active = document.activeElement, part = parts.find((one) => one.contains(active));
  if (!part) return () => {};
  const its = active.closest("tr").its;
  const among = (rows) => [...rows.querySelectorAll("a, button, input")];
  const own = part.tagName === "TR" ? part : active.closest("tr"), at = among(own).indexOf(active);
  return () => {
    const now = part.tagName === "TR" ? part : [...part.children].find((one) => one.its === its);
    if (now) among(now)[at]?.focus();
  };
}

// The parts of a band, which ends where there is only one curve.
function bands(x, low, high) {
  const found = [];
  let part = null;
  x.forEach((place, k) => {
    if (!Number.isFinite(low[k]) || !Number.isFinite(high[k])) { part = null; return; }
    if (!part) found.push((part = { x: [], low: [], high: [] }));
    part.x.push(place); part.low.push(low[k]); part.high.push(high[k]);
  });
  return found;
}

/* -- the page ----------------------------------------------------------------------- */

// Show a run, or runs, in an element. Return its charts, and a function that shows newer
// data of the same.
//
// A host beside a server has `open(run)` and `link(run)`, for the page of a run; `finer`,
// which promises parts of curves; `frame`, which promises a raster or a matrix, or a part
// of one; `plots` and `curves`, which tell what chosen runs have, at once and again when
// more is known; and the number `most` of runs that are chosen at first. With `follow`,
// there will be newer data.
export function show(root, data, plotly, dark, host = {}) {
  const charts = new Charts(root, plotly, dark);
  root.classList.add("board");
  const take = (data.kind === "run" ? showRun : showRuns)(root, data, charts, host);
  take(data);
  charts.shade();
  return { charts, take };
}
