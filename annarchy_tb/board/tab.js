// The host of the tab in TensorBoard: it asks the server, and follows what is written.

import { make, show, unpacked, visible } from "./board.js";

const SOON = 4000, LATER = 30000; // ms between two questions: while a run goes on, or not
const TOGETHER = 4; // runs of a question
const MOST = 10; // runs that are chosen at first

const theirs = parent.document;
const dark = () => theirs.body.classList.contains("dark-mode");

const line = make("p", { className: "error", role: "alert" });
const all = make("main", {}), one = make("main", { hidden: true });
const back = make("nav", { hidden: true });
const pages = { all: null, one: null };
let plotly, current = null;

/* -- questions ---------------------------------------------------------------------- */

async function ask(question, query) {
  const answer = await fetch(`${question}?${new URLSearchParams(query)}`)
    .catch(() => { throw new Error("TensorBoard does not answer"); });
  const data = await answer.json().catch(() => ({ error: `TensorBoard says ${answer.status}` }));
  if (!answer.ok) throw new Error(data.error);
  return data;
}

function tell(error) {
  const said = visible(error?.message ?? "");
  if (line.textContent !== said) line.textContent = said; // else it would be read out again
}

const telling = (question) => (query) => ask(question, query).catch((error) => { tell(error); throw error; });
const part = telling("part"), frame = telling("frame");

// Curves that are drawn by some of their points, with more of those from `from` to `to`.
function finer(curves, axis, from, to) {
  return Promise.all(curves.map(async (one) => {
    if (one.number <= one.x.length) return one;
    const its = await part({ run: one.run, tag: one.tag, curve: one.name, axis, from, to });
    return { ...one, x: unpacked(its.x), y: unpacked(its.y), number: its.number };
  }));
}

// What runs have in some state of theirs, asked for in groups, and told as it comes.
class Known {
  constructor(question, take) {
    this.question = question;
    this.take = take;
    this.of = new Map();
  }

  get(run) {
    return this.of.get(run.name)?.has;
  }

  ask(runs, told) {
    const state = (run) => `${run.status} ${run.ended} ${run.written}`;
    const wanted = runs.filter((run) => this.of.get(run.name)?.state !== state(run));
    for (const run of wanted) this.of.set(run.name, { has: this.get(run), state: state(run) });
    for (let at = 0; at < wanted.length; at += TOGETHER) {
      const some = wanted.slice(at, at + TOGETHER);
      ask(this.question[0], [...this.question.slice(1), ...some.map((run) => ["run", run.name])]).then((data) => {
        for (const run of some) if (this.of.has(run.name)) this.of.get(run.name).has = this.take(data, run.name);
        told();
      }).catch((error) => {
        for (const run of some) this.of.delete(run.name);
        tell(error);
      });
    }
  }

  keep(runs) {
    const names = new Set(runs.map((run) => run.name));
    for (const name of this.of.keys()) if (!names.has(name)) this.of.delete(name);
  }
}

// The plots of the runs that were chosen last.
const plotsOf = new Known(["plots"], (data, name) => data.plots[name] ?? {});
let chosen = [];

function plots(runs, shown) {
  chosen = runs;
  const told = () => {
    const found = new Map(), pictures = new Map();
    for (const run of chosen) {
      const its = plotsOf.get(run);
      for (const [tag, { unit }] of Object.entries(its?.tags ?? {}))
        if (!found.get(tag)?.unit) found.set(tag, { tag, unit });
      for (const [tag, one] of Object.entries(its?.pictures ?? {})) {
        if (!pictures.has(tag)) pictures.set(tag, { tag, frames: [], left: 0 });
        pictures.get(tag).frames.push({ ...one, run: run.name });
      }
    }
    shown([...found.values()], [...pictures.values()], chosen.filter((run) => !plotsOf.get(run)).length);
  };
  plotsOf.ask(runs, told);
  told();
}

const curvesOf = new Map(); // by tag

function curves(tag, runs, told) {
  if (!curvesOf.has(tag)) curvesOf.set(tag, new Known(["curves", ["tag", tag]], decoded));
  const known = curvesOf.get(tag);
  const having = runs.filter((run) => Object.hasOwn(plotsOf.get(run)?.tags ?? {}, tag));
  known.keep(having);
  known.ask(having, told);
  return having.flatMap((run) => (known.get(run) ?? []).map((its) => ({ ...its, tag, unit: plotsOf.get(run).unit })));
}

function decoded(data, name) {
  const numbers = (its) => its && {
    ...its, x: unpacked(its.x), y: unpacked(its.y), times: its.times && unpacked(its.times), means: numbers(its.means),
  };
  return data.curves.filter((its) => its.run === name).map(numbers);
}

/* -- what is shown ------------------------------------------------------------------ */

const hash = () => theirs.location.hash.slice(1).split("&");
const KEY = "p.simulation.run=";

// The address of the page of a run; of the table, if it is null.
function link(run) {
  const others = hash().filter((text) => text && text !== "simulation" && !text.startsWith("p.simulation."));
  const parts = ["simulation", ...others.filter((text) => text.includes("=")), ...(run === null ? [] : [KEY + encodeURIComponent(run)])];
  return `${theirs.location.pathname}${theirs.location.search}#${parts.join("&")}`;
}

function linked() {
  const found = hash().find((text) => text.startsWith(KEY));
  try {
    return found ? decodeURIComponent(found.slice(KEY.length)) : null;
  } catch {
    return null;
  }
}

function open(run) {
  const before = current;
  current = run;
  if (linked() !== run) parent.history.replaceState(parent.history.state, "", link(run));
  all.hidden = run !== null;
  one.hidden = back.hidden = run === null;
  if (pages.one && run !== pages.one.name) {
    one.replaceChildren();
    pages.one.charts.clean();
    pages.one = null;
  }
  if (run !== null && !pages.one) one.replaceChildren(make("p", { className: "note" }, `Reading ${visible(run)} …`));
  tell(null);
  if (run !== null) scrollTo(0, 0);
  else [...all.querySelectorAll("tbody a")].find((its) => its.textContent === visible(before))?.focus();
  look();
}

async function lookAtAll() {
  const data = await ask("runs", { since: pages.all?.data.version ?? "" });
  const page = pages.all;
  if (!page) pages.all = { data, ...show(all, data, plotly, dark, { open, link, finer, frame, plots, curves, most: MOST, follow: true }) };
  else {
    page.data = { ...(data.runs ? data : page.data), now: data.now };
    page.take(page.data);
  }
  tell(pages.all.data.runs.length ? null : new Error(`There are no runs in ${pages.all.data.path} yet.`));
  return pages.all.data.runs.some((run) => run.status === "running");
}

async function lookAtOne(name) {
  const data = await ask("run", { run: name, since: pages.one?.version ?? "" });
  if (name !== current) return true;
  if (!pages.one) {
    pages.one = { name, ...show(one, data, plotly, dark, { finer, frame, follow: true }) };
    back.querySelector("a").focus();
  } else if (data.cards) pages.one.take(data);
  tell(null);
  if (data.cards) Object.assign(pages.one, { version: data.version, status: data.run.status });
  return pages.one.status === "running";
}

/* -- when it is asked --------------------------------------------------------------- */

let timer = null, asking = false, again = false, asleep = false;

async function look() {
  clearTimeout(timer);
  again = asking;
  asleep = !innerHeight;
  if (asking || asleep) return;
  asking = true;
  let goesOn = true;
  const began = performance.now();
  try {
    goesOn = await (current === null ? lookAtAll() : lookAtOne(current));
  } catch (error) {
    if (current !== null && !pages.one) one.replaceChildren();
    tell(error);
  }
  asking = false;
  const took = performance.now() - began;
  timer = setTimeout(look, again ? 0 : Math.max(goesOn ? SOON : LATER, 10 * took));
}

// A tab that is not in front has no size.
function resized() {
  if (!innerHeight) {
    clearTimeout(timer);
    asleep = true;
  } else if (asleep) look();
}

// TensorBoard says when it is told to reload, over a channel.
function listen() {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "experimental.DataReloaded") look();
    if (!message.isReply) port1.postMessage(JSON.stringify({ ...message, payload: null, error: null, isReply: true }));
  };
  parent.postMessage("experimental.bootstrap", "*", [port2]);
}

function draw(found) {
  plotly = found;
  for (const page of Object.values(pages)) {
    if (!page) continue;
    page.charts.plotly = plotly;
    page.charts.changed();
  }
  document.body.classList.toggle("plain", !plotly);
  if (!plotly)
    back.before(make("p", { className: "lacking" }, "Curves, histograms, rasters and matrices are drawn by Plotly, which is missing where TensorBoard runs: ",
      make("code", {}, "pip install 'annarchy-tb[board]'")));
}

export function render() {
  const script = make("script", {
    src: "plotly.min.js", load: () => draw(globalThis.Plotly), error: () => draw(null),
  });
  const begin = () => open(linked());
  back.append(make("a", { href: link(null), target: "_parent", click: (event) => { event.preventDefault(); open(null); } }, "← All runs"));
  document.head.append(make("link", { rel: "stylesheet", href: "board.css", load: begin, error: begin }), script);
  document.documentElement.lang = "en";
  document.body.className = "tab";
  document.body.append(line, back, all, one);
  new MutationObserver(() => Object.values(pages).forEach((page) => page?.charts.shade()))
    .observe(theirs.body, { attributeFilter: ["class"] });
  addEventListener("resize", resized);
  addEventListener("error", ({ error, message }) => tell(error ?? { message }));
  addEventListener("unhandledrejection", ({ reason }) => tell(reason));
  parent.addEventListener("hashchange", () => {
    if (hash()[0] === "simulation" && linked() !== current) open(linked());
  });
  listen();
}
