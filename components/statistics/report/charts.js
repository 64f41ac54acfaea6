const WIDTH = 200;
const TALL = 46;
const label = (svg, x, y, text, anchor = "start") => svg.append(draw("text", { x, y, "text-anchor": anchor }, document.createTextNode(text)));
const scaled = (value, most) => (!value ? 0 : view.log ? Math.max(0.04, 1 + Math.log10(value / most) / 4) : value / most);

function chart(column, width = WIDTH, height = TALL) {
  const svg = draw("svg", { width, height: height + 14, viewBox: `0 0 ${width} ${height + 14}`, role: "img", "aria-label": `Distribution of ${readable(column.name)}` });
  const kept = present(column);
  if (!kept.length) return svg;
  if (column.kind === "text") bars(svg, kept, width, height);
  else if (view.deciles) strips(svg, column, kept, width, height);
  else steps(svg, column, kept, width, height);
  return svg;
}

// Bins of [left, right, share]: of equal width, or between quantiles where one bin holds nearly all.
function binsOf(from, narrow) {
  if (narrow) {
    const inner = data.shares.map((part, place) => [part, from.q[place]]).filter(([part]) => part <= 0.991);
    return inner.slice(1).map(([part, value], place) => [inner[place][1], value, part - inner[place][0]]);
  }
  const { low, high, edges, counts } = from.h;
  const edge = (place) => (edges ? edges[place] : low + ((high - low) * place) / counts.length);
  return counts.map((count, place) => [edge(place), edge(place + 1), count / from.count]);
}
const CELLS = 50;
// The same cells for all series; what a bin holds is spread evenly over the cells it covers.
function celled(bins, low, high, many) {
  const cells = new Array(many).fill(0);
  const wide = (high - low) / many || 1;
  const at = (value) => Math.min(many - 1, Math.max(0, Math.floor((value - low) / wide)));
  for (const [left, right, part] of bins) {
    for (let cell = at(left); cell <= at(right); cell += 1) {
      const inside = Math.min(right, low + (cell + 1) * wide) - Math.max(left, low + cell * wide);
      cells[cell] += right > left ? (part * Math.max(inside, 0)) / (right - left) : part;
    }
  }
  return cells.map((part, cell) => [low + cell * wide, low + (cell + 1) * wide, part]);
}
const alike = (bins) => bins.every((one) => one.length === bins[0].length && one[0][0] === bins[0][0][0] && one[one.length - 1][1] === bins[0][bins[0].length - 1][1]);
function steps(svg, column, kept, width, height) {
  const series = kept.map(({ one, place }) => ({ place, from: source(one) })).filter(({ from }) => from && from.h && from.count);
  if (!series.length) return;
  const narrow = series.every(({ from }) => from.q && from.h.counts.length > 12 && Math.max(...from.h.counts) > 0.7 * from.count && from.q[data.at99] > from.q[0]);
  let bins = series.map(({ from }) => binsOf(from, narrow));
  const low = Math.min(...bins.map((one) => one[0][0]));
  const high = Math.max(...bins.map((one) => one[one.length - 1][1]));
  if (narrow || !alike(bins)) {
    // Cells as wide as the widest bins: narrower ones would show steps that are not in the data.
    const widest = Math.max(...bins.map((one) => one[0][1] - one[0][0]));
    const many = narrow ? CELLS : Math.min(CELLS, Math.max(1, Math.round((high - low) / widest)));
    bins = bins.map((one) => celled(one, low, high, many));
  }
  const most = Math.max(...bins.flat().map(([, , part]) => part)) || 1;
  const x = (bin) => (bin / bins[0].length) * width;
  series.forEach(({ place }, order) => {
    let path = `M0 ${height}`;
    bins[order].forEach(([, , part], bin) => {
      const y = (height - scaled(part, most) * height).toFixed(1);
      path += `L${x(bin).toFixed(1)} ${y}L${x(bin + 1).toFixed(1)} ${y}`;
    });
    svg.append(draw("path", { d: `${path}V${height}Z`, fill: colour(place), "fill-opacity": order ? 0 : 0.28, stroke: colour(place), "stroke-width": 1.2, "stroke-linejoin": "round" }));
  });
  bins[0].forEach(([left, right], bin) => {
    const cell = draw("rect", { x: x(bin), y: 0, width: width / bins[0].length, height, fill: "transparent" });
    const shares = series.map(({ place }, order) => `${splits[place].name}: ${share(bins[order][bin][2])}`);
    svg.append(titled(cell, `${shown(column, left)} to ${shown(column, right)}\n${shares.join("\n")}`));
  });
  svg.append(draw("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  const ends = (value) => (column.kind === "bool" ? String(Boolean(value)) : shown(column, value));
  label(svg, 0, height + 12, ends(Math.min(...series.map(({ from }) => from.min))));
  const top = Math.max(...series.map(({ from }) => from.max));
  label(svg, width, height + 12, narrow ? `99 % below ${ends(high)}` : ends(top) + measure(column), "end");
}
function strips(svg, column, kept, width, height) {
  const series = kept.map(({ one, place }) => ({ place, from: source(one) })).filter(({ from }) => from && from.q);
  if (!series.length) return;
  const low = Math.min(...series.map(({ from }) => from.min));
  const high = Math.max(...series.map(({ from }) => from.max));
  const x = (value) => (high > low ? ((value - low) / (high - low)) * width : width / 2);
  const tall = Math.min(26, height / series.length - 3);
  series.forEach(({ place, from }, order) => {
    const deciles = data.shares.map((part, at) => [part, from.q[at]]).filter(([part]) => Math.abs(part * 10 - Math.round(part * 10)) < 1e-9);
    for (let box = 0; box + 1 < deciles.length; box += 1) {
      const [left, right] = [x(deciles[box][1]), x(deciles[box + 1][1])];
      const rectangle = draw("rect", { x: left, y: order * (tall + 3), width: Math.max(right - left, 1), height: tall, fill: colour(place), "fill-opacity": box % 2 ? 0.75 : 0.35 });
      svg.append(titled(rectangle, `${splits[place].name}, ${box * 10} to ${box * 10 + 10} %: ${shown(column, deciles[box][1])} to ${shown(column, deciles[box + 1][1])}`));
    }
  });
  label(svg, 0, height + 12, shown(column, low));
  label(svg, width, height + 12, shown(column, high), "end");
}
function topShares(kept) {
  const names = new Map();
  for (const { one } of kept) for (const [value, count] of one.top || []) names.set(value, (names.get(value) || 0) + count / one.present);
  const order = [...names.entries()].sort((a, b) => b[1] - a[1]).map(([value]) => value);
  return order.map((value) => ({ value, shares: kept.map(({ one, place }) => {
    const found = (one.top || []).find((top) => top[0] === value);
    return { place, count: found ? found[1] : null, share: found ? found[1] / one.present : 0 };
  }) }));
}
function bars(svg, kept, width, height) {
  const all = topShares(kept).slice(0, 14);
  if (!all.length) return;
  const most = Math.max(...all.flatMap(({ shares }) => shares.map((one) => one.share)));
  const slot = Math.min(width / all.length, 40);
  all.forEach(({ value, shares }, order) => {
    const wide = (slot - 3) / shares.length;
    shares.forEach((one, inside) => {
      const tall = scaled(one.share, most) * height;
      const bar = draw("rect", { x: order * slot + inside * wide, y: height - tall, width: Math.max(wide - 0.5, 1), height: tall, fill: colour(one.place), "fill-opacity": 0.8 });
      svg.append(titled(bar, `${readable(value) || "(empty)"}\n${splits[one.place].name}: ${number(one.count)} (${share(one.share)})`));
    });
  });
  svg.append(draw("line", { class: "axis", x1: 0, x2: width, y1: height, y2: height }));
  label(svg, 0, height + 12, cut(all[0].value === "" ? "(empty)" : all[0].value, Math.floor(width / 6.2)));
}
