"use strict";
// The page is complete without this. With it: values of curves under the pointer, tables sorted by a click, and
// frames of noising and denoising under a slider.

const short = (v) => (v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e6) ? v.toExponential(2) : String(+v.toPrecision(4)));

// Curves. `data-axes`: left, top, right, bottom of the axes, the ranges of x and y, whether they are logarithmic.
for (const panel of document.querySelectorAll("svg[data-axes]")) {
  const [left, top, right, bottom, x0, x1, y0, y1, logX, logY] = panel.dataset.axes.split(" ").map(Number);
  const value = (share, a, b, log) => (log ? a * (b / a) ** share : a + share * (b - a));
  const curves = new Map();
  for (const line of panel.querySelectorAll("[data-name]")) {
    const points = line.getAttribute("points").split(" ").map((p) => p.split(",").map(Number));
    curves.set(line.dataset.name, { points: (curves.get(line.dataset.name)?.points ?? []).concat(points), line });
  }
  if (curves.size === 0) continue;
  const told = document.createElement("div");
  told.className = "told";
  panel.closest(".panels").after(told);
  const mark = document.createElementNS(panel.namespaceURI, "path");
  mark.setAttribute("class", "muted-line");
  mark.setAttribute("stroke-dasharray", "3 3");
  panel.append(mark);
  panel.addEventListener("pointermove", (event) => {
    const box = panel.getBoundingClientRect();
    const x = ((event.clientX - box.left) * panel.viewBox.baseVal.width) / box.width;
    if (x < left || x > right) return;
    mark.setAttribute("d", `M${x} ${top}V${bottom}`);
    told.textContent = `${short(value((x - left) / (right - left), x0, x1, logX))}: `;
    for (const [name, { points, line }] of curves) {
      const near = points.reduce((best, p) => (Math.abs(p[0] - x) < Math.abs(best[0] - x) ? p : best));
      if (Math.abs(near[0] - x) > 0.1 * (right - left)) continue;
      const item = document.createElement("span");
      const number = document.createElement("b");
      number.textContent = short(value((bottom - near[1]) / (bottom - top), y0, y1, logY));
      item.append(`${name} `, number, "  ");
      item.style.color = line.getAttribute("stroke");
      told.append(item);
    }
  });
  panel.addEventListener("pointerleave", () => {
    mark.removeAttribute("d");
    told.textContent = "";
  });
}

// Tables: by the first number of a cell where it begins with one, by its text otherwise.
const key = (row, column) => {
  const text = row.cells[column]?.textContent.trim() ?? "";
  const number = parseFloat(text);
  return Number.isNaN(number) ? text : number;
};
for (const table of document.querySelectorAll(".wide table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.classList.add("sorts");
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((h) => h.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
      const order = ([a], [b]) => {
        if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
        return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
      };
      table.tBodies[0].append(...rows.sort(order).map(([, row]) => row));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
  });
}

// Frames: bytes of points (x, y in 255ths of the window) or of images, frame by frame.
for (const box of document.querySelectorAll(".frames")) {
  const film = JSON.parse(box.querySelector("script").textContent);
  const bytes = Uint8Array.from(atob(film.bytes), (c) => c.charCodeAt(0));
  const [slider, canvas, output] = ["input", "canvas", "output"].map((name) => box.querySelector(name));
  const size = bytes.length / film.labels.length;
  const pen = canvas.getContext("2d");
  const points = (frame) => {
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = getComputedStyle(box).getPropertyValue("--accent");
    pen.globalAlpha = 0.7;
    for (let i = 0; i + 1 < frame.length; i += 2) {
      pen.fillRect((frame[i] / 255) * canvas.width - 2, (1 - frame[i + 1] / 255) * canvas.height - 2, 4, 4);
    }
  };
  const images = (frame) => {
    const picture = pen.createImageData(canvas.width, canvas.height);
    const area = film.width * film.height;
    for (let i = 0; i < frame.length / film.channels; i++) {
      const [tile, pixel] = [Math.floor(i / area), i % area];
      const x = (tile % film.columns) * (film.width + 1) + (pixel % film.width);
      const y = Math.floor(tile / film.columns) * (film.height + 1) + Math.floor(pixel / film.width);
      const at = frame.subarray(film.channels * i, film.channels * (i + 1));
      const rgb = film.channels === 3 ? at : [255 - at[0], 255 - at[0], 255 - at[0]];
      picture.data.set([...rgb, 255], 4 * (y * canvas.width + x));
    }
    pen.putImageData(picture, 0, 0);
  };
  const show = () => {
    const frame = bytes.subarray(size * slider.value, size * (+slider.value + 1));
    (film.kind === "points" ? points : images)(frame);
    output.textContent = film.labels[slider.value];
  };
  slider.addEventListener("input", show);
  box.hidden = false;
  show();
}
