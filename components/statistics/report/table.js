const MANY = 60; // rows made at once; the others follow
const EAGER = 15; // charts drawn at once; the others when they come near
const missingShare = (one) => (one ? one.missing / Math.max(rowsOf(one), 1) : 0);
const zeroShare = (one) => (one && one.present ? ((one.numbers ? one.numbers.zeros : one.empty) || 0) / one.present : 0);
const heads = [
  { key: "place", title: "Column", left: true, read: (column) => column.place },
  { key: "chart", title: "Distribution", left: true },
  { key: "missing", title: "Missing", hint: "Share of missing values", cell: (_, one) => share(missingShare(one)),
    high: (one) => missingShare(one) >= 0.5, read: (column) => Math.max(...column.splits.map(missingShare)) },
  { key: "distinct", title: "Distinct", hint: "Number of distinct values; ~ marks an estimate",
    cell: (_, one) => (one.distinct === undefined ? "" : (one.distinct_exact ? "" : "~") + number(one.distinct)),
    read: (column) => first(column, (one) => one.distinct) },
  { key: "zeros", title: "Zeros", hint: "Share of zeros, or of empty texts and lists",
    cell: (_, one) => (one.present && source(one) ? share(zeroShare(one)) : ""), high: (one, column) => column.kind !== "bool" && zeroShare(one) >= 0.5,
    read: (column) => first(column, zeroShare) },
  statistic("mean", "Mean", "Mean of the numbers, or of the lengths of texts and lists"),
  statistic("std", "Std", "Sample standard deviation"),
  extreme("min", "Min", "min_text"),
  statistic("median", "Median", "Median of the numbers, or of the lengths of texts and lists"),
  extreme("max", "Max", "max_text"),
];
if (data.label) heads.push({ key: "label", title: "Label", hint: `Adjusted mutual information with ${data.label}: 0 chance, 1 one tells the other`,
  cell: (_, one) => (one.label ? number(Math.round(1000 * one.label.adjusted_mutual_information) / 1000) : ""),
  read: (column) => first(column, (one) => one.label && one.label.adjusted_mutual_information) });
if (splits.length > 1) heads.push({ key: "apart", title: "Differ", hint: "Largest difference between the splits' cumulative distributions (numbers) or between the shares of a value (texts)",
  whole: (column) => (column.apart === null ? "" : share(column.apart)), read: (column) => column.apart });

function statistic(key, title, hint) {
  return { key, title, hint,
    cell: (column, one) => {
      const from = source(one);
      if (!from || from[key] === undefined) return "";
      if (key === "std" && column.instant) return duration(from[key]);
      return shown(column, from[key]) + (one.numbers || key !== "mean" ? "" : measure(column));
    },
    read: (column) => first(column, (one) => source(one) && source(one)[key]) };
}
function extreme(key, title, text) {
  const clipped = (value) => make("span", { class: "cut", title: readable(value) }, named(cut(value, 40) || "(empty)"));
  return { key, title,
    cell: (column, one) => {
      if (one[text] !== undefined) return clipped(column.kind === "time" ? one[text].replace(/\.0+(?=$|Z)/, "").replace(/[ T]00:00:00Z?$/, "") : one[text]);
      const from = source(one);
      return from && from[key] !== undefined ? shown(column, from[key]) + (one.numbers ? "" : measure(column)) : "";
    },
    read: (column) => first(column, (one) => one[text] ?? (source(one) && source(one)[key])) };
}
function stacked(column, head) {
  if (head.whole) return make("td", { class: "figures" }, head.whole(column));
  const lines = column.splits.map((one, place) => {
    const mark = head.key === "missing" && splits.length > 1 ? dot(place) : null;
    return make("div", { class: one && head.high && head.high(one, column) ? "high" : null, title: splits[place].name }, mark, one ? head.cell(column, one) : "–");
  });
  return make("td", { class: "figures" }, ...lines);
}

const drawer = "IntersectionObserver" in window ? new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    drawer.unobserve(entry.target);
    entry.target.replaceChildren(chart(data.columns[Number(entry.target.dataset.place)]));
  }
}, { rootMargin: "600px" }) : null;

const lines = new Map();
function row(column, place = MANY) {
  if (lines.has(column.place)) return lines.get(column.place);
  const button = make("button", { type: "button", "aria-expanded": "false" }, wrapped(cut(column.name, 120)));
  const picture = make("td", { class: "chart", "data-place": column.place });
  const line = make("tr", { class: "column" },
    make("td", { class: "name" }, button, make("div", { class: "type" }, column.type, column.hint ? ` · ${column.hint.replaceAll("_", " ")}` : ""),
      ...column.notes.map((note) => make("span", { class: "note" }, note))),
    picture, ...heads.slice(2).map((head) => stacked(column, head)));
  if (drawer && place >= EAGER) drawer.observe(picture); else picture.append(chart(column));
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextSibling.remove();
    else line.after(make("tr", { class: "more" }, make("td", { colspan: heads.length }, details(column))));
  });
  lines.set(column.place, line);
  return line;
}
function reveal(column) {
  byId("search").value = column.name;
  view.search = column.name.toLowerCase();
  refresh();
  const button = row(column).querySelector("button");
  if (button.getAttribute("aria-expanded") !== "true") button.click();
  button.focus();
  row(column).scrollIntoView({ block: "start" });
}

function ordered() {
  const head = heads.find((one) => one.key === view.sort && one.read) || heads[0];
  const kept = data.columns.filter((column) => (!view.kinds.size || view.kinds.has(column.kind)) && column.name.toLowerCase().includes(view.search));
  const sign = view.down ? -1 : 1;
  const keys = new Map(kept.map((column) => [column, head.read(column)]));
  return kept.sort((a, b) => {
    const [left, right] = [keys.get(a), keys.get(b)];
    const [none, other] = [left === null || left === undefined, right === null || right === undefined];
    if (none || other) return none - other || a.place - b.place;
    if (typeof left !== typeof right) return typeof left < typeof right ? -1 : 1;
    return sign * (left < right ? -1 : left > right ? 1 : 0) || a.place - b.place;
  });
}
let pending = 0;
function refresh() {
  for (const line of lines.values()) {
    const button = line.querySelector("button");
    button.setAttribute("aria-expanded", "false");
  }
  const columns = ordered();
  const body = byId("body");
  body.replaceChildren(...columns.slice(0, MANY).map(row));
  window.clearTimeout(pending);
  const rest = (from) => {
    body.append(...columns.slice(from, from + 4 * MANY).map((column) => row(column)));
    if (from + 4 * MANY < columns.length) pending = window.setTimeout(rest, 0, from + 4 * MANY);
  };
  if (columns.length > MANY) pending = window.setTimeout(rest, 0, MANY);
  byId("found").textContent = columns.length === data.columns.length ? "" : `${number(columns.length)} of ${number(data.columns.length)} columns`;
  byId("none").hidden = columns.length > 0;
  for (const cell of byId("head").children) cell.setAttribute("aria-sort", cell.dataset.key !== view.sort ? "none" : view.down ? "descending" : "ascending");
}
