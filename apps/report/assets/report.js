"use strict";

const dataOf = (figure) => JSON.parse(figure.querySelector('script[type="application/json"]').textContent);
const element = (name, className, text = "") => {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
};

// Charts: a cursor with the values of all series at the nearest point, by pointer or arrow keys.
for (const figure of document.querySelectorAll(".chart")) {
  const plot = figure.querySelector(".plot");
  let data = null, places = [], shown = [], at = -1;

  const load = () => {
    data = dataOf(figure);
    places = [...new Set(data.series.flatMap((s) => s.points.map((p) => p[0])))].sort((a, b) => a - b);
  };
  const nearest = (sorted, x, key) => {
    let low = 0, high = sorted.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (key(sorted[middle]) < x) low = middle + 1;
      else high = middle;
    }
    return low > 0 && x - key(sorted[low - 1]) < key(sorted[low]) - x ? low - 1 : low;
  };
  const hide = () => {
    for (const part of shown) part.remove();
    shown = [];
  };
  const show = (index) => {
    hide();
    at = index;
    const x = places[index];
    const cursor = element("div", "cursor"), tip = element("div", "tip");
    cursor.style.left = `${x * 100}%`;
    shown = [cursor, tip];
    for (const [from, to, label] of data.bands) if (label && x >= from && x <= to) tip.append(element("div", "", label));
    let title = "";
    for (const series of data.series) {
      const point = series.points[nearest(series.points, x, (p) => p[0])];
      if (Math.abs(point[0] - x) > 0.01) continue;
      title = title || point[2];
      const dot = element("div", `cursor-dot ${series.colour}`), row = element("div", "");
      dot.style.left = `${point[0] * 100}%`;
      dot.style.top = `${point[1] * 100}%`;
      row.append(element("i", series.colour), series.name, element("b", "", point[3]));
      tip.append(row);
      shown.push(dot);
    }
    tip.prepend(element("div", "", `${data.x} ${title}`));
    plot.append(...shown);
    const room = plot.clientWidth - tip.offsetWidth - 12, left = x * plot.clientWidth + 12;
    tip.style.left = `${left <= room + 12 ? left : Math.max(0, left - 24 - tip.offsetWidth)}px`;
  };
  plot.addEventListener("pointermove", (event) => {
    if (!data) load();
    const box = plot.getBoundingClientRect();
    show(nearest(places, (event.clientX - box.left) / box.width, (x) => x));
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
    if (!step) return;
    if (!data) load();
    show(Math.min(places.length - 1, Math.max(0, at + step)));
    event.preventDefault();
  });
}

// Tables: a click on a column's head sorts by it, another one the other way round.
for (const table of document.querySelectorAll(".sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const number = head.classList.contains("number");
      const before = head.getAttribute("aria-sort");
      const ascending = before ? before === "descending" : !number;
      const key = (row) => {
        const cell = row.cells[column];
        return number ? Number(cell.dataset.sort ?? cell.textContent) : cell.textContent;
      };
      const compare = (a, b) => (number ? key(a) - key(b) : key(a).localeCompare(key(b), undefined, { numeric: true }));
      body.append(...[...body.rows].sort((a, b) => (ascending ? compare(a, b) : compare(b, a))));
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    });
  });
  table.closest(".table").querySelector(".filter")?.addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const row of body.rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}

// Large confusion matrices: painted cell by cell, with a cross hair and the numbers below it.
for (const figure of document.querySelectorAll(".heat-map")) {
  const { names, totals, cells } = dataOf(figure);
  const canvas = figure.querySelector("canvas"), output = figure.querySelector("output"), n = names.length;
  const counts = new Map(cells.map(([t, p, count]) => [t * n + p, count]));
  const pen = canvas.getContext("2d");
  let cursor = null, size = 0;

  const describe = () => {
    const [t, p] = cursor;
    const count = counts.get(t * n + p) ?? 0, share = totals[t] ? (100 * count) / totals[t] : 0;
    const relation = t === p ? `${names[t]} found` : `${names[t]} taken for ${names[p]}`;
    output.textContent = `${relation}: ${count} of ${totals[t]} (${share.toFixed(1)} %)`;
  };
  const paint = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name, alpha) => `rgb(${style.getPropertyValue(name)} / ${alpha})`;
    pen.fillStyle = style.getPropertyValue("--card");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    for (const [t, p, count] of cells) {
      pen.fillStyle = colour(t === p ? "--right" : "--wrong", 0.4 + 0.6 * Math.sqrt(count / totals[t]));
      pen.fillRect(p * size, t * size, size, size);
    }
    if (!cursor) return;
    pen.fillStyle = colour("--right", 0.25);
    pen.fillRect(0, cursor[0] * size, canvas.width, size);
    pen.fillRect(cursor[1] * size, 0, size, canvas.height);
    describe();
  };
  const resize = () => {
    // A whole number of device pixels for each cell; scrolls where there is no room for two.
    const ratio = window.devicePixelRatio || 1, room = Math.min(figure.clientWidth - 2, 900);
    size = Math.max(2, Math.floor((room * ratio) / n));
    canvas.width = canvas.height = size * n;
    canvas.style.width = canvas.style.height = `${(size * n) / ratio}px`;
    paint();
  };
  const move = (t, p) => {
    const inside = (v) => Math.min(n - 1, Math.max(0, v));
    cursor = [inside(t), inside(p)];
    paint();
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect();
    const cell = (offset) => Math.floor((offset / box.width) * n);
    move(cell(event.clientY - box.top), cell(event.clientX - box.left));
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!step) return;
    const [t, p] = cursor ?? [0, 0];
    move(t + step[0], p + step[1]);
    event.preventDefault();
  });
  output.textContent = "Point at a cell to see its classes and numbers.";
  window.addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  resize();
}
