// Charts of usage: bars that are stacked, or a line over bars, as inline SVG.

import { element, svg } from "./dom.js";
import { hour } from "./format.js";

const WIDTH = 360, HEIGHT = 130, LEFT = 54, BOTTOM = 18, TOP = 6;

// The next round number at or above a value.
export function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999);
}

// All stretches of time up to now, those without anything included.
export function filledUp(buckets, now, seconds, most) {
  const known = new Map(buckets.map((bucket) => [bucket.at, bucket]));
  const last = Math.floor(now / seconds) * seconds;
  return Array.from({ length: most }, (_, at) => last - (most - 1 - at) * seconds).map((at) => known.get(at) ?? { at });
}

/**
 * @param title what the chart shows
 * @param points stretches of time
 * @param first, second {name, of(point)}: the two series
 * @param format a value as text
 * @param line whether the second is a line and not stacked on the first
 */
export function chart({ title, points, first, second, format, line = false }) {
  const low = points.map((point) => first.of(point) || 0);
  const high = points.map((point) => (second ? second.of(point) || 0 : 0));
  const top = ceiling(Math.max(...low.map((value, at) => (line ? Math.max(value, high[at]) : value + high[at]))));
  const step = (WIDTH - LEFT) / points.length;
  const x = (at) => LEFT + at * step;
  const length = (value) => ((HEIGHT - BOTTOM - TOP) * value) / top;
  const base = HEIGHT - BOTTOM;
  const drawn = [0, 0.5, 1].flatMap((part) => [
    svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: base - length(top * part), y2: base - length(top * part) }),
    svg("text", { x: LEFT - 5, y: base - length(top * part) + 4, "text-anchor": "end" }, format(top * part)),
  ]);
  const bar = (name, at, from, value) => value > 0 &&
    drawn.push(svg("rect", { class: name, x: x(at) + step * 0.12, width: step * 0.76, y: base - length(from + value), height: length(value) }));
  points.forEach((point, at) => {
    bar("first", at, 0, low[at]);
    if (!line) bar("second", at, low[at], high[at]);
  });
  if (line) {
    const path = points.map((_, at) => [at, high[at]]).filter(([, value]) => value > 0);
    drawn.push(svg("path", {
      class: "line", d: path.map(([at, value], n) => `${n ? "L" : "M"}${x(at) + step / 2} ${base - length(value)}`).join(""),
    }));
    for (const [at, value] of path) {
      drawn.push(svg("circle", { class: "second", cx: x(at) + step / 2, cy: base - length(value), r: 2 }));
    }
  }
  const middle = Math.floor(points.length / 2);
  for (const [at, anchor] of [[0, "start"], [middle, "middle"], [points.length - 1, "end"]]) {
    const place = anchor === "end" ? WIDTH : anchor === "start" ? LEFT : x(at);
    drawn.push(svg("text", { x: place, y: HEIGHT - 3, "text-anchor": anchor }, hour(points[at].at)));
  }
  const keys = [first, second].filter(Boolean);
  const most = points.reduce((best, point, at) => (low[at] > low[best] ? at : best), 0);
  const told = low[most] > 0 ? `${first.name} at most ${format(low[most])}, at ${hour(points[most].at)}` : "nothing yet";
  return element("figure", { class: "card" },
    element("figcaption", {}, element("strong", {}, title),
      element("span", {}, ...keys.map((one, at) => element("span", { class: `key ${at ? "second" : "first"}` }, one.name)))),
    svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${told}` }, ...drawn));
}
