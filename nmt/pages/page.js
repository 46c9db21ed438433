"use strict";
// Plots answer to the pointer and, when focused, to the arrow keys; without this script they are still whole.

const all = (selector) => [...document.querySelectorAll(selector)];
const readoutOf = (svg) => svg.closest("figure, .panel-part").querySelector(".readout");
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

function pointIn(svg, event) {
  const box = svg.getBoundingClientRect();
  const view = svg.viewBox.baseVal;
  const scale = view && view.width ? view.width / box.width : 1;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function onKeys(svg, handlers) {
  svg.addEventListener("keydown", (event) => {
    const handler = handlers[event.key];
    if (handler) {
      event.preventDefault();
      handler();
    }
  });
}

function setUpChart(svg) {
  const { scale: [low, high, start, end], series, x: name } = JSON.parse(svg.dataset.chart);
  const cursor = svg.querySelector(".cursor");
  const places = [...new Set(series.flatMap((each) => each.x))].sort((a, b) => a - b);
  const across = (x) => start + ((x - low) / (high - low)) * (end - start);
  let current = places.length - 1;

  function show(place) {
    current = clamp(place, 0, places.length - 1);
    const x = places[current];
    cursor.setAttribute("x1", across(x));
    cursor.setAttribute("x2", across(x));
    cursor.style.visibility = "visible";
    const values = series.map((each) => {
      let nearest = -1;
      each.x.forEach((other, index) => {
        if (each.y[index] !== null && (nearest < 0 || Math.abs(other - x) < Math.abs(each.x[nearest] - x))) nearest = index;
      });
      return `${each.name} ${Number(each.y[nearest].toPrecision(4))}`;
    });
    readoutOf(svg).textContent = `${name} ${x}: ${values.join(" · ")}`;
  }

  svg.addEventListener("pointermove", (event) => {
    const [x] = pointIn(svg, event);
    let nearest = 0;
    places.forEach((place, index) => {
      if (Math.abs(across(place) - x) < Math.abs(across(places[nearest]) - x)) nearest = index;
    });
    show(nearest);
  });
  const step = Math.max(1, Math.round(places.length / 60));
  onKeys(svg, {
    ArrowLeft: () => show(current - step), ArrowRight: () => show(current + step), Home: () => show(0), End: () => show(places.length - 1),
  });
}

function setUpHeatMap(svg) {
  const map = JSON.parse(svg.dataset.heat);
  const frame = svg.querySelector(".chosen");
  let [row, column] = [0, 0];

  function show(newRow, newColumn) {
    row = clamp(newRow, 0, map.target.length - 1);
    column = clamp(newColumn, 0, map.source.length - 1);
    frame.setAttribute("x", map.left + map.cell * column);
    frame.setAttribute("y", map.top + map.cell * row);
    frame.style.visibility = "visible";
    const probability = Math.exp(map.log_probs[row]).toFixed(2);
    readoutOf(svg).textContent =
      `${map.target[row]} (probability ${probability}) reads ${map.source[column]}: weight ${map.weights[row][column].toFixed(2)}`;
  }

  svg.addEventListener("pointermove", (event) => {
    const [x, y] = pointIn(svg, event);
    show(Math.floor((y - map.top) / map.cell), Math.floor((x - map.left) / map.cell));
  });
  onKeys(svg, {
    ArrowLeft: () => show(row, column - 1), ArrowRight: () => show(row, column + 1),
    ArrowUp: () => show(row - 1, column), ArrowDown: () => show(row + 1, column),
  });
}

function setUpTree(svg) {
  const nodes = JSON.parse(svg.dataset.tree);
  const groups = [...svg.querySelectorAll(".node")];
  const links = new Map();
  const linkPaths = [...svg.querySelectorAll(".link")];
  nodes.forEach((node, index) => links.set(node, linkPaths[index]));
  const siblings = (number) => nodes.map((_, index) => index).filter((index) => nodes[index][0] === nodes[number][0]);
  let current = 0;

  function show(number) {
    current = number;
    svg.classList.add("choosing");
    svg.querySelectorAll(".on").forEach((each) => each.classList.remove("on"));
    const path = [];
    for (let at = number; at >= 0; at = nodes[at][0]) {
      path.unshift(nodes[at][1]);
      groups[at].classList.add("on");
      links.get(nodes[at]).classList.add("on");
    }
    const [, , logProb, score] = nodes[number];
    const text = path.join("").replaceAll("▁", " ").trim();
    readoutOf(svg).textContent = `${text} · log-probability ${logProb}${score === null ? "" : ` · score ${score}`}`;
  }

  const walk = (step) => {
    const list = siblings(current);
    show(list[clamp(list.indexOf(current) + step, 0, list.length - 1)]);
  };
  groups.forEach((group) => group.addEventListener("pointerenter", () => show(Number(group.dataset.n))));
  onKeys(svg, {
    ArrowLeft: () => nodes[current][0] >= 0 && show(nodes[current][0]),
    ArrowRight: () => {
      const child = nodes.findIndex((node) => node[0] === current);
      if (child >= 0) show(child);
    },
    ArrowUp: () => walk(-1),
    ArrowDown: () => walk(1),
  });
}

function setUpSentences(table) {
  const controls = table.closest("details");
  const rows = [...table.tBodies[0].rows];
  const orders = {
    worst: (a, b) => a.dataset.mean - b.dataset.mean, best: (a, b) => b.dataset.mean - a.dataset.mean,
    spread: (a, b) => b.dataset.spread - a.dataset.spread,
  };
  controls.querySelector("[data-search]").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    rows.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(wanted); });
  });
  controls.querySelector("[data-order]").addEventListener("change", (event) => {
    const order = orders[event.target.value];
    table.tBodies[0].append(...(order ? [...rows].sort(order) : rows));
  });
}

function markWide() {
  all(".scroll").forEach((box) => box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1));
}
markWide();
addEventListener("resize", markWide);
all("details").forEach((each) => each.addEventListener("toggle", markWide));

all("table.sentences").forEach(setUpSentences);
all("[data-chart]").forEach(setUpChart);
all("[data-heat]").forEach(setUpHeatMap);
all("[data-tree]").forEach(setUpTree);
all("[data-toggle]").forEach((box) =>
  box.addEventListener("change", () => document.body.classList.toggle(box.dataset.toggle, box.checked)));

let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details:not([open])").filter((each) => !each.closest("figure") && !each.querySelector("table.sentences"));
  opened.forEach((each) => { each.open = true; });
});
addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
