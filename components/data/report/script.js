"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const splits = data.splits;
const byId = (id) => document.getElementById(id);
const colour = (place) => `var(--s${Math.min(place, 5)})`;
const view = { search: "", kinds: new Set(), log: false, strips: false, sort: "place", down: false };

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
function draw(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e15) return value.toLocaleString("en-US");
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(3);
  const digits = size >= 1e5 ? 0 : size >= 1000 ? 1 : size >= 100 ? 2 : size >= 1 ? 3 : 4;
  return value.toLocaleString("en-US", { maximumFractionDigits: digits });
}
function share(value) {
  if (!value) return "0 %";
  if (value < 0.0005) return "< 0.1 %";
  return `${(100 * value).toFixed(value > 0.9995 && value < 1 ? 2 : 1)} %`;
}
function instant(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return number(seconds);
  const text = date.toISOString();
  return (text.endsWith("T00:00:00.000Z") ? text.slice(0, 10) : text.slice(0, 19)).replace("T", " ");
}
const shown = (column, value) => (column.kind === "time" && column.instant ? instant(value) : number(value));

const numbersOf = (one) => one && (one.numbers || null);
const lengthsOf = (one) => one && (one.lengths || null);
const rowsOf = (one) => one.present + one.missing;
const first = (column, read) => {
  for (const one of column.splits) {
    const value = one && read(one);
    if (value !== null && value !== undefined) return value;
  }
  return null;
};

const heads = [
  { key: "place", title: "Column", left: true, read: (column) => column.place },
  { key: "chart", title: "Distribution", left: true },
  { key: "missing", title: "Missing", hint: "Share of missing values",
    cell: (column, one) => share(one.missing / Math.max(rowsOf(one), 1)),
    high: (one) => one.missing / Math.max(rowsOf(one), 1) >= 0.5,
    read: (column) => Math.max(...column.splits.map((one) => one.missing / Math.max(rowsOf(one), 1))) },
  { key: "distinct", title: "Distinct", hint: "Number of distinct values; ~ marks an estimate",
    cell: (column, one) => one.distinct === undefined ? "" : (one.distinct_exact ? "" : "~") + number(one.distinct),
    read: (column) => first(column, (one) => one.distinct) },
  { key: "zeros", title: "Zeros", hint: "Share of zeros, or of empty texts and lists",
    cell: (column, one) => {
      const count = numbersOf(one) ? one.numbers.zeros || 0 : one.empty || 0;
      return one.present && (numbersOf(one) || lengthsOf(one)) ? share(count / one.present) : "";
    },
    high: (one) => one.present > 0 && ((one.numbers ? one.numbers.zeros : one.empty) || 0) / one.present >= 0.5,
    read: (column) => first(column, (one) => ((one.numbers ? one.numbers.zeros : one.empty) || 0) / Math.max(one.present, 1)) },
  statistic("mean", "Mean", "Mean of the numbers, or of the lengths of texts and lists"),
  statistic("std", "Std", "Sample standard deviation"),
  extreme("min", "Min", "min_text"),
  statistic("median", "Median", "Median of the numbers, or of the lengths of texts and lists"),
  extreme("max", "Max", "max_text"),
  { key: "apart", title: "Splits differ", hint: "Largest difference between the splits' cumulative distributions (numbers) or between the shares of a value (texts)",
    whole: (column) => column.apart === null ? "" : share(column.apart), read: (column) => column.apart },
];
const plainTime = (text, column) => (column.kind === "time" ? text.replace(/\.0+(?=$|Z)/, "") : text);
const measure = (column) => ({ text: " chars", bytes: " bytes", list: " items" })[column.kind] || "";
function source(one) { return one.numbers || one.lengths || null; }
function statistic(key, title, hint) {
  return { key, title, hint,
    cell: (column, one) => {
      const from = source(one);
      if (!from || from[key] === undefined) return "";
      if (key === "std" && column.kind === "time") return duration(from[key]);
      return shown(column, from[key]) + (one.numbers ? "" : measure(column));
    },
    read: (column) => first(column, (one) => source(one) && source(one)[key]) };
}
function extreme(key, title, text) {
  return { key, title,
    cell: (column, one) => {
      if (one[text] !== undefined && column.kind !== "time") return make("span", { class: "cut", title: one[text] }, one[text] || "(empty)");
      if (column.kind === "time") return plainTime(one[text] || "", column);
      const from = source(one);
      return from && from[key] !== undefined ? number(from[key]) + (one.numbers ? "" : measure(column)) : "";
    },
    read: (column) => first(column, (one) => source(one) && source(one)[key]) };
}
function duration(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]]) if (seconds >= size) return `${number(seconds / size)} ${unit}`;
  return `${number(seconds)} s`;
}

function stacked(column, head) {
  if (head.whole) return make("td", { class: "figures" }, head.whole(column));
  const lines = column.splits.map((one, place) => {
    const high = head.high && head.high(one);
    const dot = head.key === "missing" ? make("span", { class: "dot", style: `background:${colour(place)}` }) : null;
    return make("div", { class: high ? "high" : null, title: splits[place].name }, dot, head.cell(column, one));
  });
  return make("td", { class: "figures" }, ...lines);
}

const WIDTH = 230;
function chart(column, width = WIDTH, height = 46) {
  const svg = draw("svg", { width, height: height + 14, viewBox: `0 0 ${width} ${height + 14}`, role: "img", "aria-label": `Distribution of ${column.name}` });
  const kept = column.splits.map((one, place) => ({ one, place })).filter(({ one }) => one.present > 0);
  if (!kept.length) return svg;
  if (column.kind === "text") bars(svg, column, kept, width, height);
  else if (view.strips) strips(svg, column, kept, width, height);
  else steps(svg, column, kept, width, height);
  return svg;
}
const scaled = (value, most) => {
  if (!value) return 0;
  return view.log ? Math.max(0.04, 1 + Math.log10(value / most) / 4) : value / most;
};
function label(svg, x, y, text, anchor = "start") {
  svg.append(draw("text", { x, y, "text-anchor": anchor }, document.createTextNode(text)));
}
function steps(svg, column, kept, width, height) {
  const series = kept.map(({ one, place }) => ({ place, from: source(one) })).filter(({ from }) => from && from.histogram && from.count);
  if (!series.length) return;
  const heights = series.map(({ from }) => from.histogram.counts.map((count) => count / from.count));
  const most = Math.max(...heights.flat());
  const edges = series[0].from.histogram.edges;
  const x = (place) => (place / (edges.length - 1)) * width;
  series.forEach(({ place, from }, order) => {
    let path = `M0 ${height}`;
    heights[order].forEach((value, bin) => {
      const y = height - scaled(value, most) * height;
      path += `L${x(bin).toFixed(1)} ${y.toFixed(1)}L${x(bin + 1).toFixed(1)} ${y.toFixed(1)}`;
    });
    path += `L${width} ${height}Z`;
    const area = draw("path", { d: path, fill: colour(place), "fill-opacity": order ? 0 : 0.28, stroke: colour(place), "stroke-width": 1.2, "stroke-linejoin": "round" });
    svg.append(area);
  });
  heights[0].forEach((_, bin) => {
    const lines = series.map(({ place, from }, order) => `${splits[place].name}: ${number(from.histogram.counts[bin])} (${share(heights[order][bin])})`);
    const cell = draw("rect", { x: x(bin), y: 0, width: width / heights[0].length, height, fill: "transparent" });
    cell.append(draw("title", {}, document.createTextNode(`${shown(column, edges[bin])} to ${shown(column, edges[bin + 1])}\n${lines.join("\n")}`)));
    svg.append(cell);
  });
  svg.append(draw("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  const [low, high] = [Math.min(...series.map(({ from }) => from.min)), Math.max(...series.map(({ from }) => from.max))];
  const ends = (value) => (column.kind === "bool" ? String(Boolean(value)) : shown(column, value));
  label(svg, 0, height + 12, ends(low));
  label(svg, width, height + 12, ends(high) + measure(column), "end");
}
function strips(svg, column, kept, width, height) {
  const series = kept.map(({ one, place }) => ({ place, from: source(one) })).filter(({ from }) => from && from.quantiles);
  if (!series.length) return;
  const low = Math.min(...series.map(({ from }) => from.min));
  const high = Math.max(...series.map(({ from }) => from.max));
  const x = (value) => (high > low ? ((value - low) / (high - low)) * width : width / 2);
  const tall = Math.min(26, height / series.length - 3);
  series.forEach(({ place, from }, order) => {
    const deciles = from.quantiles.filter(([part]) => Math.abs(part * 10 - Math.round(part * 10)) < 1e-9);
    for (let box = 0; box + 1 < deciles.length; box += 1) {
      const [left, right] = [x(deciles[box][1]), x(deciles[box + 1][1])];
      const rectangle = draw("rect", { x: left, y: order * (tall + 3), width: Math.max(right - left, 1), height: tall, fill: colour(place), "fill-opacity": box % 2 ? 0.75 : 0.35 });
      rectangle.append(draw("title", {}, document.createTextNode(`${splits[place].name}, ${box * 10} to ${box * 10 + 10} %: ${shown(column, deciles[box][1])} to ${shown(column, deciles[box + 1][1])}`)));
      svg.append(rectangle);
    }
  });
  label(svg, 0, height + 12, shown(column, low));
  label(svg, width, height + 12, shown(column, high), "end");
}
function topShares(column, kept) {
  const names = new Map();
  for (const { one } of kept) for (const { value, count } of one.top || []) names.set(value, (names.get(value) || 0) + count / one.present);
  const order = [...names.entries()].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  return order.map((value) => ({ value, shares: kept.map(({ one, place }) => {
    const found = (one.top || []).find((top) => top.value === value);
    return { place, count: found ? found.count : null, share: found ? found.count / one.present : 0 };
  }) }));
}
function bars(svg, column, kept, width, height) {
  const all = topShares(column, kept).slice(0, 14);
  if (!all.length) return;
  const most = Math.max(...all.flatMap(({ shares }) => shares.map((one) => one.share)));
  const slot = Math.min(width / all.length, 40);
  all.forEach(({ value, shares }, order) => {
    const wide = (slot - 3) / shares.length;
    shares.forEach((one, inside) => {
      const tall = scaled(one.share, most) * height;
      const bar = draw("rect", { x: order * slot + inside * wide, y: height - tall, width: Math.max(wide - 0.5, 1), height: tall, fill: colour(one.place), "fill-opacity": 0.8 });
      bar.append(draw("title", {}, document.createTextNode(`${value || "(empty)"}\n${splits[one.place].name}: ${number(one.count)} (${share(one.share)})`)));
      svg.append(bar);
    });
  });
  svg.append(draw("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  const text = String(all[0].value || "(empty)");
  label(svg, 0, height + 12, text.length > 36 ? `${text.slice(0, 35)}…` : text);
}

function grid(title, head, rows) {
  return make("section", {}, make("h3", {}, title), make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((one) => make("th", {}, one)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))))));
}
const splitHeads = () => splits.map((split, place) => make("span", {}, make("span", { class: "dot", style: `background:${colour(place)}` }), split.name));
function details(column) {
  const parts = [make("section", {}, make("h3", {}, "Distribution"), chart(column, 560, 130))];
  const kept = column.splits.map((one, place) => ({ one, place })).filter(({ one }) => one.present > 0);
  const tops = topShares(column, kept).slice(0, 20);
  if (tops.some(({ shares }) => shares.some((one) => one.count > 1))) {
    parts.push(grid("Most frequent values", ["", ...kept.map(({ place }) => splitHeads()[place])], tops.map(({ value, shares }) => [
      value === "" ? "(empty)" : plainTime(String(value), column),
      ...shares.map((one) => make("span", {}, one.count === null ? "–" : `${number(one.count)} · ${share(one.share)}`,
        make("span", { class: "bar", style: `width:${Math.round(60 * one.share)}px;background:${colour(one.place)}` }))),
    ])));
  }
  const quantiles = kept.filter(({ one }) => source(one) && source(one).quantiles);
  if (quantiles.length) {
    const exact = quantiles.every(({ one }) => !source(one).rank_error);
    const title = `Quantiles${quantiles[0].one.numbers ? "" : " of lengths"}${exact ? "" : ", rank error below " + share(Math.max(...quantiles.map(({ one }) => source(one).rank_error || 0)))}`;
    parts.push(grid(title, ["", ...quantiles.map(({ place }) => splitHeads()[place])], source(quantiles[0].one).quantiles.map(([part], row) => [
      share(part), ...quantiles.map(({ one }) => shown(column, source(one).quantiles[row][1]))])));
  }
  const special = [["present", (one) => one.present], ["missing", (one) => one.missing],
    ["not a number", (one) => one.numbers && one.numbers.nan], ["+infinity", (one) => one.numbers && one.numbers.positive_infinity],
    ["−infinity", (one) => one.numbers && one.numbers.negative_infinity]].filter(([, read]) => column.splits.some((one) => read(one)));
  parts.push(grid("Counts", ["", ...splitHeads()], special.map(([name, read]) => [name, ...column.splits.map((one) => number(read(one) || 0))])));
  for (const inner of column.inner || []) parts.push(make("section", {}, make("h3", {}, inner.name), chart(inner, 300, 60)));
  return make("div", { class: "details" }, ...parts);
}

const drawer = "IntersectionObserver" in window ? new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    drawer.unobserve(entry.target);
    entry.target.replaceChildren(chart(data.columns[Number(entry.target.dataset.place)]));
  }
}, { rootMargin: "600px" }) : null;

function picture(column) {
  const cell = make("td", { class: "chart", "data-place": column.place });
  if (drawer) drawer.observe(cell); else cell.append(chart(column));
  return cell;
}
function row(column) {
  const button = make("button", { type: "button", "aria-expanded": "false" }, column.name);
  const line = make("tr", { class: "column" },
    make("td", { class: "name" }, button, make("div", { class: "type" }, column.type), ...column.notes.map((note) => make("span", { class: "note" }, note))),
    picture(column), ...heads.slice(2).map((head) => stacked(column, head)));
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextSibling.remove();
    else line.after(make("tr", { class: "more" }, make("td", { colspan: heads.length }, details(column))));
  });
  return line;
}

function ordered() {
  const head = heads.find((one) => one.key === view.sort);
  const kept = data.columns.filter((column) => (!view.kinds.size || view.kinds.has(column.kind)) && column.name.toLowerCase().includes(view.search));
  const sign = view.down ? -1 : 1;
  return kept.sort((a, b) => {
    const [left, right] = [head.read(a), head.read(b)];
    const [none, other] = [left === null || left === undefined, right === null || right === undefined];
    if (none || other) return none - other || a.place - b.place;
    return sign * (left < right ? -1 : left > right ? 1 : 0) || a.place - b.place;
  });
}
function refresh() {
  const columns = ordered();
  byId("body").replaceChildren(...columns.map(row));
  byId("none").hidden = columns.length > 0;
  for (const cell of byId("head").children) cell.setAttribute("aria-sort", cell.dataset.key !== view.sort ? "none" : view.down ? "descending" : "ascending");
}

function start() {
  const counts = new Map();
  for (const column of data.columns) counts.set(column.kind, (counts.get(column.kind) || 0) + 1);
  const total = splits.reduce((sum, split) => sum + split.rows, 0);
  byId("summary").textContent = `${number(total)} rows, ${number(data.columns.length)} columns`;
  byId("splits").append(...splits.map((split, place) => make("li", {}, make("span", { class: "dot", style: `background:${colour(place)}` }), make("strong", {}, split.name), ` ${number(split.rows)} rows (${share(split.rows / Math.max(total, 1))})`)));
  byId("head").append(...heads.map((head) => make("th", { "data-key": head.key, class: head.left ? "left" : null, scope: "col", title: head.hint },
    head.read ? make("button", { type: "button", on: { click: () => {
      view.down = view.sort === head.key ? !view.down : head.key !== "place";
      view.sort = head.key;
      refresh();
    } } }, head.title) : make("button", { type: "button", disabled: "" }, head.title))));
  byId("kinds").append(...[...counts.entries()].map(([kind, count]) => make("button", { type: "button", "aria-pressed": "false", on: { click: (event) => {
    const pressed = !view.kinds.delete(kind);
    if (pressed) view.kinds.add(kind);
    event.currentTarget.setAttribute("aria-pressed", String(pressed));
    refresh();
  } } }, `${kind} ${count}`)));
  byId("search").addEventListener("input", (event) => { view.search = event.target.value.toLowerCase(); refresh(); });
  for (const name of ["log", "strips"]) byId(name).addEventListener("click", (event) => {
    view[name] = !view[name];
    event.currentTarget.setAttribute("aria-pressed", String(view[name]));
    refresh();
  });
  const root = document.documentElement;
  root.dataset.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  byId("theme").addEventListener("click", () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; });
  byId("method").textContent = data.method;
  refresh();
}
start();
