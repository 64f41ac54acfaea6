"""The evaluation report's style and its one script, which sorts tables."""

CSS = """
:root { color-scheme: light dark;
  --page: #fbfbfa; --card: #ffffff; --ink: #1c1f23; --soft: #5f6871; --rule: #dfe3e6;
  --candidate: #1f6feb; --champion: #c2570c; --good: #1a7f4b; --bad: #c8322b; --wash: 31 111 235; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171a; --card: #1c2024; --ink: #e6e9ec; --soft: #9aa4ad; --rule: #30363c;
  --candidate: #6ea8ff; --champion: #f0a04b; --good: #55c288; --bad: #ff7b72; --wash: 110 168 255; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 22px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 34px 0 10px; }
h3 { font-size: 14px; margin: 0; font-weight: 600; }
h3 { margin-top: 14px; } figure h3 { margin-top: 0; } h3 + .scroll { margin-top: 6px; }
.soft, figcaption, .y-axis { color: var(--soft); } .y-axis { font-size: 12px; margin: 0 0 2px; }
.verdict { border-left: 5px solid var(--bad); padding: 14px 18px; background: var(--card);
  border-radius: 6px; }
.verdict.blessed { border-color: var(--good); } .verdict ul { margin: 8px 0 0; padding-left: 20px; }
.verdict strong { color: var(--bad); } .verdict.blessed strong { color: var(--good); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(190px, 1fr));
  gap: 12px; margin-top: 16px; }
.card, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 6px;
  padding: 12px 14px; }
.card b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; }
.card small { color: var(--soft); display: block; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(270px, 1fr)); gap: 12px; }
figure { margin: 0; } figure svg { width: 100%; height: auto; display: block; }
figcaption { font-size: 12px; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--rule); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { text-align: left; padding: 6px 12px; border-bottom: 1px solid var(--rule); white-space: nowrap; }
td.wide { white-space: normal; min-width: 280px; } tbody tr:last-child > * { border-bottom: 0; }
td.number, th.number { text-align: right; } thead th { color: var(--soft); font-weight: 500; }
table.sortable th { cursor: pointer; } th[aria-sort=ascending]::after { content: " \\2191"; }
th[aria-sort=descending]::after { content: " \\2193"; }
.passed { color: var(--good); } .failed { color: var(--bad); font-weight: 600; }
.matrix { width: auto; }
td.cell { background: rgb(var(--wash) / calc(var(--share) * .55)); text-align: right; }
.grid { stroke: var(--rule); } .diagonal { stroke: var(--soft); stroke-dasharray: 4 4; }
.tick, .axis { fill: var(--soft); font-size: 11px; }
.line { fill: none; stroke-width: 2; } .candidate.line { stroke: var(--candidate); }
.champion.line { stroke: var(--champion); stroke-dasharray: 6 3; }
.dot.candidate { fill: var(--candidate); } .dot.champion { fill: var(--champion); }
.bar { opacity: .55; } .bar.negative { fill: var(--champion); }
.bar.positive, .bar.candidate { fill: var(--candidate); }
.interval { width: 120px; height: 16px; vertical-align: middle; }
.whisker { stroke: var(--candidate); stroke-width: 2; }
.reference { stroke: var(--soft); stroke-dasharray: 2 2; }
.key { display: inline-block; width: 18px; border-top: 3px solid var(--candidate); vertical-align: middle; }
.key.champion { border-top: 3px dashed var(--champion); } .key.negative { border-color: var(--champion); }
"""

SORT = """
for (const table of document.querySelectorAll("table.sortable"))
  table.tHead.addEventListener("click", event => {
    const head = event.target.closest("th"); if (!head) return;
    const column = head.cellIndex, down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => {
      const cell = row.cells[column], number = parseFloat(cell.dataset.value ?? cell.textContent);
      return isNaN(number) ? cell.textContent : number; };
    const order = (x, y) => typeof x === typeof y
      ? (x < y ? -1 : x > y ? 1 : 0) : typeof x === "number" ? -1 : 1;
    const body = table.tBodies[0], rows = [...body.rows];
    rows.sort((a, b) => order(key(a), key(b)) * (down ? -1 : 1));
    body.append(...rows);
  });
"""
