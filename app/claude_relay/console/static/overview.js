// What runs now, what was over lately, and charts of it.

import { byId, element, show } from "./dom.js";
import { chart, filledUp } from "./charts.js";
import { clock, count, dollars, duration } from "./format.js";

const SPANS = { minutes: { seconds: 60, most: 60 }, quarters: { seconds: 900, most: 96 } };
const MOST_ROWS = 100;

let state = null, requests = [], ahead = 0;
const buckets = { minutes: new Map(), quarters: new Map() };

const now = () => Date.now() / 1000 + ahead;
const cell = (label, text, attributes = {}) => element("td", { "data-label": label, ...attributes }, text ?? "");
const shown = (span) => filledUp([...buckets[span].values()], now(), SPANS[span].seconds, SPANS[span].most);

// A server that was restarted knows nothing of what was before.
export function begin() {
  requests = [];
  for (const known of Object.values(buckets)) known.clear();
}

export function setState(next) {
  state = next;
  draw();
}

export function setUsage(usage) {
  ahead = usage.now - Date.now() / 1000;
  for (const [span, known] of Object.entries(buckets)) for (const bucket of usage[span]) known.set(bucket.at, bucket);
  draw();
}

export function addRequests(more) {
  requests = [...more].reverse().concat(requests).slice(0, MOST_ROWS);
  draw();
}

function sum(points, of) {
  return points.reduce((total, point) => total + (of(point) || 0), 0);
}

function tile(name, value, detail = "", alarm = false) {
  return element("div", alarm ? { class: "alarm" } : {}, element("dt", {}, name), element("dd", {}, value, element("small", {}, detail)));
}

function tiles() {
  const hour = shown("minutes"), processes = state.processes;
  const answers = sum(hour, (point) => point.requests), errors = sum(hour, (point) => point.errors);
  const begun = sum(hour, (point) => point.begun);
  return [
    tile("Running", state.running.length, state.limits ? `at most ${state.limits.answers} at once` : ""),
    tile("In the queue", state.waiting, "of all callers"),
    processes && tile("Processes busy", processes.busy,
      `${processes.idle} idle, ${processes.spare} spare${processes.starting ? `, ${processes.starting} starting` : ""}`),
    tile("Answers", count(answers), "last hour"),
    tile("Tokens", count(sum(hour, (point) => point.prompt_tokens + point.completion_tokens)), "last hour"),
    tile("Cost", dollars(sum(hour, (point) => point.cost_usd)), "last hour"),
    tile("First token", begun ? duration(sum(hour, (point) => point.first_token_ms) / begun) : "–", "average, last hour"),
    tile("Errors", count(errors), "last hour", errors > 0),
  ].filter(Boolean);
}

function charts(span) {
  const points = shown(span);
  const mean = (of, by) => (point) => (point[by] ? point[of] / point[by] : 0);
  return [
    chart({
      title: "Tokens", points, format: count,
      first: { name: "in", of: (point) => point.prompt_tokens }, second: { name: "out", of: (point) => point.completion_tokens },
    }),
    chart({ title: "Cost", points, format: (value) => (value ? `$${+value.toPrecision(2)}` : "$0"), first: { name: "US dollars", of: (point) => point.cost_usd } }),
    chart({
      title: "Latency", points, format: (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${+(ms / 1000).toFixed(1)} s`), line: true,
      first: { name: "total", of: mean("total_ms", "requests") }, second: { name: "first token", of: mean("first_token_ms", "begun") },
    }),
  ];
}

function runningRow(request) {
  const waits = request.first_token_ms === null;
  return element("tr", {}, cell("", request.model ?? ""), cell("", request.path), cell("", waits ? "waiting for the first token" : "answering"),
    cell("", duration(1000 * Math.max(0, Math.round(now() - request.began_at))), { class: "number" }));
}

function recentRow(request) {
  const failed = request.error || request.status >= 400;
  const result = failed ? `${request.status ?? ""} ${request.error ?? ""}`.trim() : request.finish ?? "ok";
  return element("tr", { title: request.id },
    cell("", clock(request.at)),
    cell("", request.model ? `${request.model}${request.personality && !request.model.includes(":") ? ` (${request.personality})` : ""}` : ""),
    cell("", request.path), cell("", result, failed ? { class: "error" } : {}),
    cell("in", request.personality ? count(request.prompt_tokens) + (request.cached_tokens ? ` (${count(request.cached_tokens)} cached)` : "") : "", { class: "number" }),
    cell("out", request.personality ? count(request.completion_tokens) : "", { class: "number" }),
    cell("cost", dollars(request.cost_usd), { class: "number" }),
    cell("first", duration(request.first_token_ms), { class: "number" }),
    cell("total", duration(request.total_ms), { class: "number" }));
}

const empty = (columns, text) => [element("tr", {}, element("td", { class: "empty", colspan: columns }, text))];

export function draw() {
  if (!state || byId("tiles").closest("[data-view]").hidden) return;
  show(byId("tiles"), tiles());
  show(byId("charts"), charts(document.querySelector("input[name=span]:checked").value));
  show(byId("running"), state.running.length ? state.running.map(runningRow) : empty(4, "Nothing runs."));
  show(byId("recent"), requests.length ? requests.map(recentRow) : empty(9, "No requests yet. Those of your programs appear here, and so do those of the playground."));
}

document.querySelectorAll("input[name=span]").forEach((input) => input.addEventListener("change", draw));
setInterval(draw, 1000);
