"use strict";

// The points and bars of the charts say what they are.
const tip = document.getElementById("tip");
const SAYING = '.chart [role="graphics-symbol"][aria-label]';

function tell(event) {
  const mark = event.target.closest(SAYING);
  tip.hidden = !mark;
  if (!mark) return;
  tip.replaceChildren(...mark.getAttribute("aria-label").split(" · ").map((part) => {
    const line = document.createElement("span");
    line.textContent = part;
    return line;
  }));
  const box = tip.getBoundingClientRect();
  tip.style.left = Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 4)) + "px";
  tip.style.top = Math.max(4, event.clientY > innerHeight / 2 ? event.clientY - box.height - 12 : event.clientY + 12) + "px";
}

document.addEventListener("pointermove", tell);
document.addEventListener("click", tell); // a finger does not hover
document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });

// A click on a column's head sorts by it, numbers from the largest on; a second click turns the order around.
const table = document.getElementById("operators");
const body = table.tBodies[0];
const rows = [...body.rows];

function value(row, column) {
  const cell = row.cells[column];
  return cell.classList.contains("number") ? Number(cell.dataset.v ?? cell.textContent) : cell.textContent;
}

for (const button of table.tHead.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const first = head.classList.contains("number") ? "descending" : "ascending";
    const second = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const column = head.cellIndex;
    rows.sort((one, two) => {
      const a = value(one, column), b = value(two, column);
      return sign * (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    body.append(...rows);
  });
}

// What is typed or chosen leaves only the rows that fit, and says what they take together.
const form = document.querySelector("#layers form");

function filter() {
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const run = form.elements.run.value, category = form.elements.category.value;
  let shown = 0, ms = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !((!run || row.dataset.run === run) && (!category || row.dataset.category === category)
      && words.every((word) => text.includes(word)));
    if (row.hidden) continue;
    shown += 1;
    ms += Number(row.dataset.ms);
  }
  document.getElementById("shown").textContent = `${shown} of ${rows.length} operators, ${ms.toFixed(3)} ms`;
}

for (const event of ["input", "change"]) form.addEventListener(event, filter);
form.addEventListener("submit", (event) => event.preventDefault());
filter();

// What is folded is printed too.
addEventListener("beforeprint", () => { for (const each of document.querySelectorAll("details")) each.open = true; });
