const SHOWN = new Set([0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1]);
function grid(title, head, rows, kind = null) {
  return make("section", { class: kind }, make("h3", {}, title), make("table", {},
    make("thead", {}, make("tr", {}, ...head.map((one) => make("th", { scope: "col" }, one)))),
    make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell)))))));
}
const splitHead = (place) => make("span", {}, dot(place), named(splits[place].name));
const valueText = (column, value) => (value === "" ? "(empty)" : value === null ? "(missing)" : typeof value === "number" ? shown(column, value) : cut(value, 160));

function details(column) {
  const kept = present(column);
  const parts = [make("section", {}, make("h3", {}, "Distribution"), chart(column, 440, 120)),
    frequent(column, kept), quantiles(column, kept), counts(column), weighted(column), hints(column), relation(column), slices(column)];
  for (const inner of column.inner || []) parts.push(make("section", {}, make("h3", {}, named(inner.name), ` ${inner.type}`), chart(inner, 300, 60)));
  return make("div", { class: "details" }, ...parts.filter(Boolean));
}
function frequent(column, kept) {
  const tops = topShares(kept).slice(0, 12);
  if (!tops.some(({ shares }) => shares.some((one) => one.count > 1))) return null;
  return grid("Most frequent values", ["", ...kept.map(({ place }) => splitHead(place))], tops.map(({ value, shares }) => [
    named(valueText(column, value)),
    ...shares.map((one) => make("span", {}, one.count === null ? "–" : `${number(one.count)} · ${share(one.share)}`,
      make("span", { class: "bar", style: `width:${Math.round(60 * one.share)}px;background:${colour(one.place)}` }))),
  ]));
}
function quantiles(column, kept) {
  const known = kept.filter(({ one }) => source(one) && source(one).q);
  if (!known.length) return null;
  const error = Math.max(...known.map(({ one }) => source(one).rank_error || 0));
  const title = `Quantiles${known[0].one.numbers ? "" : " of lengths"}${error ? `, rank error below ${share(error)}` : ""}`;
  return grid(title, ["", ...known.map(({ place }) => splitHead(place))],
    data.shares.map((part, at) => [part, at]).filter(([part]) => SHOWN.has(part)).map(([part, at]) => [share(part), ...known.map(({ one }) => shown(column, source(one).q[at]))]));
}
function counts(column) {
  const of = (read) => (one) => (one ? read(one) : null);
  const all = [["present", (one) => one.present], ["missing", (one) => one.missing], ["empty", (one) => one.empty],
    ["zero", (one) => one.numbers && one.numbers.zeros], ["not a number", (one) => one.numbers && one.numbers.nan],
    ["+infinity", (one) => one.numbers && one.numbers.positive_infinity], ["−infinity", (one) => one.numbers && one.numbers.negative_infinity],
    ["not UTF-8", (one) => one.not_utf8]].map(([name, read]) => [name, of(read)]).filter(([, read]) => column.splits.some(read));
  return grid("Counts", ["", ...splits.map((_, place) => splitHead(place))],
    all.map(([name, read]) => [name, ...column.splits.map((one) => (one ? number(read(one) || 0) : "–"))]));
}
function weighted(column) {
  const known = column.splits.map((one, place) => ({ one, place })).filter(({ one }) => one && one.weighted);
  if (!known.length) return null;
  const rows = [["missing", ({ one }) => share(one.weighted.missing / Math.max(one.weighted.missing + one.weighted.present, 1e-300))]];
  const from = ({ one }) => one.weighted.numbers || one.weighted.lengths;
  if (from(known[0])) for (const name of ["mean", "std", "median"]) rows.push([name, (each) => (from(each) ? shown(column, from(each)[name]) : "–")]);
  const top = ({ one }) => (one.weighted.top || [])[0];
  if (top(known[0])) rows.push(["most weight", (each) => (top(each) ? `${valueText(column, top(each)[0])} · ${share(top(each)[1] / each.one.weighted.present)}` : "–")]);
  return grid(`Weighted by ${cut(data.weight || "", 40)}`, ["", ...known.map(({ place }) => splitHead(place))], rows.map(([name, read]) => [name, ...known.map(read)]));
}
function hints(column) {
  if (!(column.hints || []).length) return null;
  return grid("Values that look like", ["", "of the distinct values"], column.hints.map(([name, part]) => [name.replaceAll("_", " "), share(part)]));
}
function relation(column) {
  const place = column.splits.findIndex((one) => one && one.label);
  if (place < 0) return null;
  const found = column.splits[place].label;
  const classes = (splits[place].classes || []).slice(0, 6);
  const range = (one, of) => (one.value !== null && one.value !== undefined ? valueText(of, one.value) : one.low !== null && one.low !== undefined ? `${shown(of, one.low)} to ${shown(of, one.high)}` : (one.kind || "other"));
  const facts = [`mutual information ${number(found.mutual_information)} nat`, `adjusted ${number(found.adjusted_mutual_information)}`];
  if (found.pearson !== undefined) facts.push(`Pearson ${number(found.pearson)}`);
  if (found.spearman !== undefined) facts.push(`Spearman ${number(found.spearman)}`);
  const table = grid(`What it tells about ${cut(data.label || "the label", 40)} (${splits[place].name}): ${facts.join(", ")}`,
    ["lift for", "rows", ...classes.map((one) => named(range(one, {})))],
    (found.groups || []).slice(0, 12).map((group) => [named(range(group, column)), number(group.rows), ...group.lifts.slice(0, classes.length).map((lift) =>
      make("span", { class: lift > 1.5 || lift < 0.67 ? "strong" : null }, `×${number(Math.round(lift * 100) / 100)}`))]));
  return table;
}
// A slice's splits stand below each other.
function slices(column) {
  const lines = new Map();
  splits.forEach((split, place) => (split.slices || []).slice(0, 24).forEach((slice) => {
    const found = slice.columns[column.place];
    if (!found) return;
    const [there, missing, mean, median, top] = found;
    const line = [make("span", {}, dot(place), named(slice.name)), number(slice.rows), share(missing / Math.max(there + missing, 1)),
      mean === null ? "" : shown(column, mean), median === null ? "" : shown(column, median), top === null ? "" : named(valueText(column, top))];
    lines.set(slice.name, [...(lines.get(slice.name) || []), line]);
  }));
  if (!lines.size) return null;
  const rows = [...lines.values()].flat();
  const kept = ["", "rows", "missing", "mean", "median", "most frequent"].slice(0, rows.some((row) => row[5] !== "") ? 6 : 5);
  return grid("By slice", kept, rows.map((row) => row.slice(0, kept.length)), "slices");
}
