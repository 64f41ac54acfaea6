// What changed, worst first: each with the sentence, the picture, and what the alert rests on.
const FIRST = 12;
function change(one) {
  const column = one.column === null ? null : data.columns.find((each) => each.name === one.column);
  const card = make("li", { class: `change ${one.severity}` },
    make("div", { class: "said" }, make("span", { class: `severity ${one.severity}` }, one.severity), make("span", {}, readable(one.message))));
  const row = make("div", { class: "shown" });
  if (column && present(column).length) row.append(chart(column, 260, 56));
  if (one.details && one.details.bins) row.append(bins(one.details));
  if (row.childNodes.length) card.append(row);
  if (column) card.append(make("button", { type: "button", class: "link", on: { click: () => reveal(column) } }, "show the column"));
  return card;
}
function bins(found) {
  const sides = ["baseline", "observed"];
  const sums = sides.map((side) => found.bins.reduce((sum, bin) => sum + bin[side], 0) || 1);
  const moved = (bin) => Math.abs(bin.baseline / sums[0] - bin.observed / sums[1]);
  const kept = found.bins.length > 12 ? [...found.bins].sort((a, b) => moved(b) - moved(a)).slice(0, 12) : found.bins;
  const most = Math.max(...kept.flatMap((bin) => sides.map((side, at) => bin[side] / sums[at]))) || 1;
  const line = (bin) => make("tr", {}, make("td", {}, named(cut(bin.bin, 40))), ...sides.map((side, at) => make("td", {},
    make("span", { class: "bar", style: `width:${Math.round((70 * bin[side]) / sums[at] / most)}px;background:var(${at ? "--s0" : "--base"})` }),
    ` ${number(bin[side])} · ${share(bin[side] / sums[at])}`)));
  const more = kept.length < found.bins.length ? `; the ${kept.length} of ${found.bins.length} bins that moved most` : "";
  const limit = found.threshold === null || found.threshold === undefined ? "" : ` Allowed: ${number(found.threshold)}.`;
  return make("details", {}, make("summary", {}, "bins and formula"), make("p", {}, `${found.formula || ""}${limit}${more}`),
    make("table", {}, make("thead", {}, make("tr", {}, ...["bin", "baseline", "new"].map((name) => make("th", { scope: "col" }, name)))), make("tbody", {}, ...kept.map(line))));
}
function changes() {
  if (!data.changes) return;
  const failing = data.changes.filter((one) => one.severity === "fail").length;
  const list = make("ol", { class: "changes" }, ...data.changes.slice(0, FIRST).map(change));
  const heading = data.changes.length ? `What changed: ${failing} wrong, ${data.changes.length - failing} worth a look` : "Nothing changed beyond what chance does";
  const section = byId("changes");
  section.hidden = false;
  section.append(make("h2", {}, heading), make("p", { class: "soft" }, data.against), list);
  if (data.changes.length > FIRST) {
    const button = make("button", { type: "button", class: "more-changes", on: { click: () => {
      list.append(...data.changes.slice(FIRST).map(change));
      button.remove();
    } } }, `show all ${data.changes.length}`);
    section.append(button);
  }
}
