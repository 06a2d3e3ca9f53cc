// Sorts tables by their heads and reads values off figures. The page says the same without it.
"use strict";

const PREFIXES = { k: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15, E: 1e18 };

// The first number of a cell, null where it has none: 1,607 and 2.56M and −1.2 to 3 are 1607, 2560000 and −1.2.
function numberIn(cell) {
  const first = /^[^\d−]*(−?\d[\d,]*(?:\.\d+)?)([kMGTPE](?![a-z]))?/.exec(cell.textContent.trim());
  return first === null ? null : Number(first[1].replace(/,/g, "").replace("−", "-")) * (PREFIXES[first[2]] ?? 1);
}

function compare(a, b, isText) {
  if (isText) return a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
  const [x, y] = [numberIn(a), numberIn(b)];
  if (x === null || y === null) return (x === null) - (y === null);
  return x - y;
}

function sortBy(table, head, place) {
  const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => sign * compare(a.cells[place], b.cells[place], head.classList.contains("t")));
  table.tBodies[0].append(...rows);
}

function makeSortable(table) {
  if (1 >= table.tBodies[0].rows.length) return;
  Array.from(table.tHead.rows[0].cells).forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(table, head, place));
    head.append(button);
  });
}

// The points of a figure are groups with a title; arrow keys go through them, and a line below says what each is.
function makeReadable(figure) {
  const points = Array.from(figure.querySelectorAll("svg .point"));
  if (points.length === 0) return;
  const line = document.createElement("p");
  line.className = "value";
  line.setAttribute("role", "status");
  const hint = "Point at a mark, or use ← and →, to read its values.";
  line.textContent = hint;
  figure.append(line);
  figure.tabIndex = 0;
  figure.setAttribute("role", "group");
  figure.setAttribute("aria-label", figure.querySelector("svg > title").textContent + ": values by ← and →");
  let place = -1;
  function show(next) {
    place = next;
    points.forEach((point, i) => point.classList.toggle("read", i === place));
    line.textContent = place === -1 ? hint : points[place].querySelector("title").textContent;
  }
  points.forEach((point, i) => point.addEventListener("pointerenter", () => show(i)));
  figure.addEventListener("pointerleave", () => show(-1));
  figure.addEventListener("blur", () => show(-1));
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    show(place === -1 ? (step === 1 ? 0 : points.length - 1) : (place + step + points.length) % points.length);
  });
}

document.querySelectorAll("table").forEach(makeSortable);
document.querySelectorAll("figure").forEach(makeReadable);
