function header() {
  byId("title").textContent = document.title = readable(data.title);
  const total = splits.filter((split) => !split.base).reduce((sum, split) => sum + split.rows, 0);
  byId("summary").textContent = `${number(total)} row${total === 1 ? "" : "s"}, ${number(data.columns.length)} column${data.columns.length === 1 ? "" : "s"}`;
  byId("splits").append(...splits.map((split, place) => make("li", {}, dot(place), make("strong", {}, named(split.name)),
    ` ${number(split.rows)} rows${split.base || splits.length - data.bases === 1 ? "" : ` (${share(split.rows / Math.max(total, 1))})`}`)));
  byId("method").textContent = data.method;
}
function tableHead() {
  byId("head").append(...heads.map((head) => make("th", { "data-key": head.key, class: head.left ? "left" : null, scope: "col", title: head.hint },
    head.read ? make("button", { type: "button", on: { click: () => {
      view.down = view.sort === head.key ? !view.down : head.key !== "place";
      view.sort = head.key;
      refresh();
    } } }, head.title) : make("span", {}, head.title))));
}
function toggle(button, act) {
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(act()));
    refresh();
  });
}
function redraw() {
  lines.clear();
}
function tools() {
  const kinds = new Map();
  for (const column of data.columns) kinds.set(column.kind, (kinds.get(column.kind) || 0) + 1);
  if (kinds.size > 1) byId("kinds").append(...[...kinds.entries()].map(([kind, count]) => {
    const button = make("button", { type: "button", "aria-pressed": "false" }, `${kind} ${count}`);
    toggle(button, () => { const pressed = !view.kinds.delete(kind); if (pressed) view.kinds.add(kind); return pressed; });
    return button;
  }));
  byId("search").addEventListener("input", (event) => { view.search = event.target.value.toLowerCase(); refresh(); });
  for (const name of ["log", "deciles"]) toggle(byId(name), () => { view[name] = !view[name]; redraw(); return view[name]; });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.tagName === "INPUT") return;
    event.preventDefault();
    byId("search").focus();
  });
}
function theme() {
  const root = document.documentElement;
  root.dataset.theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  byId("theme").addEventListener("click", () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; });
}
// A link may say what to show: #sort=missing&down=1&search=fare&open=1&theme=dark
function asked() {
  const wishes = new URLSearchParams(window.location.hash.slice(1));
  if (wishes.has("sort")) [view.sort, view.down] = [wishes.get("sort"), wishes.get("down") === "1"];
  if (wishes.has("theme")) document.documentElement.dataset.theme = wishes.get("theme");
  byId("search").value = wishes.get("search") || "";
  view.search = byId("search").value.toLowerCase();
  return () => { if (wishes.has("open")) for (const button of [...document.querySelectorAll("td.name button")].slice(0, Number(wishes.get("open")))) button.click(); };
}
theme();
header();
tools();
tableHead();
const then = asked();
changes();
refresh();
then();
document.documentElement.dataset.ready = String(Math.round(performance.now()));
