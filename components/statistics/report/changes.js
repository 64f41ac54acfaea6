// What changed, worst first: each with the sentence, the picture, and what the alert rests on.
const FIRST = 12;
function change(one) {
  const column = one.column === null ? null : data.columns.find((each) => each.name === one.column);
  const card = make("li", { class: `change ${one.severity}` },
    make("div", { class: "said" }, make("span", { class: `severity ${one.severity}` }, one.severity), make("span", {}, readable(one.message))));
  if (one.drawn) card.insertAdjacentHTML("beforeend", one.drawn); // made and escaped where the page is made
  else if (column && present(column).length) card.append(make("div", { class: "shown" }, chart(column, 260, 56)));
  if (column) card.append(make("button", { type: "button", class: "link", on: { click: () => reveal(column) } }, "show the column"));
  return card;
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
