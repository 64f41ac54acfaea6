"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const splits = data.splits;
const byId = (id) => document.getElementById(id);
const colour = (place) => (splits[place].base ? "var(--base)" : `var(--s${Math.min(place - data.bases, 5)})`);
const view = { search: "", kinds: new Set(), log: false, deciles: false, sort: data.first || "place", down: Boolean(data.first) };

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}
const titled = (node, text) => { node.append(draw("title", {}, document.createTextNode(text))); return node; };
const dot = (place) => make("span", { class: "dot", style: `background:${colour(place)}` });
// A text may be written from right to left: it must not turn what stands beside it.
const named = (text) => make("bdi", {}, readable(text));
// A column's name breaks where its words end.
const wrapped = (text) => make("bdi", {}, ...readable(text).split(/(?<=[_.\-/])/).flatMap((part, at) => (at ? [make("wbr"), part] : [part])));
const readable = (text) => String(text).replace(/[\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g, "�");
const cut = (text, most) => { const all = [...readable(text)]; return all.length > most ? `${all.slice(0, most - 1).join("")}…` : all.join(""); };

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return value.toLocaleString("en-US");
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return value.toExponential(3);
  const digits = size >= 1e5 ? 0 : size >= 1000 ? 1 : size >= 100 ? 2 : size >= 1 ? 3 : 4;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}
function share(value) {
  if (!value) return "0 %";
  if (value < 0.0005) return "< 0.1 %";
  return `${(100 * Math.min(value, value < 1 ? 0.9999 : value)).toFixed(value > 0.9995 && value < 1 ? 2 : 1)} %`;
}
function instant(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return number(seconds);
  const text = date.toISOString();
  return (text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text.slice(0, 16)).replace("T", " ");
}
function duration(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (seconds >= size) return `${number(seconds / size)} ${unit}`;
  return `${number(seconds)} s`;
}
// Days are enough where a column spans many.
function spansDays(column) {
  if (column.days === undefined) {
    const ends = column.splits.filter((one) => one && one.numbers && one.numbers.min !== undefined).map((one) => [one.numbers.min, one.numbers.max]);
    column.days = ends.length > 0 && Math.max(...ends.map((end) => end[1])) - Math.min(...ends.map((end) => end[0])) > 10 * 86400;
  }
  return column.days;
}
const moment = (column, value) => (spansDays(column) ? instant(value).slice(0, 10) : instant(value));
const shown = (column, value) => (column.instant && column.splits ? moment(column, value) : number(value));
const measure = (column) => ({ text: " chars", bytes: " bytes", list: " items" })[column.kind] || "";
const source = (one) => (one && (one.numbers || one.lengths)) || null;
const rowsOf = (one) => one.present + one.missing;
const present = (column) => column.splits.map((one, place) => ({ one, place })).filter(({ one }) => one && one.present > 0);
const first = (column, read) => {
  for (const one of [...column.splits].reverse()) {
    const value = one && read(one);
    if (value !== null && value !== undefined) return value;
  }
  return null;
};
