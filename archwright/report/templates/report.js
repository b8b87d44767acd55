"use strict";
(() => {
  const ROWS_AT_FIRST = 25;
  const PRINT_WIDTH = 660;
  const plots = JSON.parse(document.getElementById("plots").textContent);
  const element = (id) => document.getElementById(id);
  const narrow = () => window.innerWidth < 760;

  /* Colours: "var(--name)" anywhere in a figure becomes the page's colour of the moment. */
  function coloured(part, style) {
    if (typeof part === "string" && part.startsWith("var(--")) {
      return style.getPropertyValue(part.slice(4, -1)).trim();
    }
    if (Array.isArray(part)) return part.map((item) => coloured(item, style));
    if (part !== null && typeof part === "object") {
      return Object.fromEntries(Object.entries(part).map(([key, item]) => [key, coloured(item, style)]));
    }
    return part;
  }

  function draw(name, figure) {
    const place = element(`plot-${name}`);
    if (!place) return;
    const axis = (own) => ({
      gridcolor: "var(--line)", linecolor: "var(--whisker)", zeroline: false, automargin: true,
      fixedrange: narrow(), ...own,
    });
    const layout = {
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "var(--ink2)" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: 12, r: 16, t: 28, b: 40 },
      legend: { orientation: "h", traceorder: "normal", x: 0, y: 1, yanchor: "bottom", itemclick: false, itemdoubleclick: false },
      hoverlabel: { align: "left", bgcolor: "var(--hover)", bordercolor: "var(--whisker)",
        font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: "var(--ink)" } },
      dragmode: narrow() ? false : "zoom",
      ...figure.layout,
      xaxis: axis(figure.layout.xaxis), yaxis: axis(figure.layout.yaxis),
    };
    if (document.documentElement.classList.contains("printing")) layout.width = PRINT_WIDTH;
    const style = getComputedStyle(document.documentElement);
    Plotly.react(place, coloured(figure.data, style), coloured(layout, style),
      { displayModeBar: false, responsive: true, displaylogo: false });
  }

  /* The front: the reader chooses what goes across, up and into the colour. */
  function frontFigure() {
    const front = plots.front;
    const axisOf = (id) => front.axes.find((axis) => axis.name === element(id).value);
    const [x, y, colour] = [axisOf("front-x"), axisOf("front-y"), axisOf("front-colour")];
    const all = front.chosen.map((_, i) => i);
    const others = all.filter((i) => !front.chosen[i]);
    const chosen = all.filter((i) => front.chosen[i]);
    const trace = (indices, name, marker) => ({
      type: "scatter", mode: "markers", name, marker,
      x: indices.map((i) => x.values[i]), y: indices.map((i) => y.values[i]),
      hovertext: indices.map((i) => front.hover[i]), hoverinfo: "text",
      ...whiskers("error_x", x, indices), ...whiskers("error_y", y, indices),
    });
    const whiskers = (key, axis, indices) => axis.low && all.length <= 60 ? { [key]: {
      type: "data", symmetric: false, color: "var(--whisker)", thickness: 1, width: 0,
      array: indices.map((i) => axis.high[i] - axis.values[i]),
      arrayminus: indices.map((i) => axis.values[i] - axis.low[i]),
    } } : {};
    const marker = { size: 8, color: "var(--search)", line: { width: 1, color: "var(--paper)" } };
    const bar = { orientation: "h", x: 1, xanchor: "right", y: 1, yanchor: "bottom", len: narrow() ? 0.9 : 0.45,
      thickness: 8, outlinewidth: 0, title: { text: colour ? colour.label : "", side: "top" } };
    const scale = [[0, "var(--scale0)"], [0.5, "var(--scale1)"], [1, "var(--scale2)"]];
    const shade = (value) => (value !== null && wide(colour) ? Math.log10(value) : value);
    if (colour && wide(colour)) {
      const ticks = logTicks(colour);
      Object.assign(bar, ticks, { tickvals: ticks.tickvals.map(shade) });
    }
    const shades = colour ? known(colour).map(shade) : [];
    const shaded = (indices) => colour ? { color: indices.map((i) => shade(colour.values[i])), colorscale: scale,
      cmin: Math.min(...shades), cmax: Math.max(...shades) } : {};
    const data = [];
    if (front.axes.filter((axis) => axis.objective).length === 2 && x.objective && y.objective && x !== y) {
      const sorted = [...all].sort((a, b) => x.values[a] - x.values[b]);
      data.push({ type: "scatter", mode: "lines", hoverinfo: "skip", showlegend: false,
        line: { color: "var(--whisker)", width: 1, shape: x.maximise ? "vh" : "hv" },
        x: sorted.map((i) => x.values[i]), y: sorted.map((i) => y.values[i]) });
    }
    data.push(trace(others, "front", { ...marker, ...shaded(others), ...(colour ? { colorbar: bar, showscale: true } : {}) }));
    if (chosen.length) {
      data.push(trace(chosen, "chosen", { size: 17, symbol: "star", ...shaded(chosen), color: "var(--chosen)",
        line: { width: 1, color: "var(--paper)" } }));
    }
    return { data, layout: { height: narrow() ? 400 : 460, showlegend: false, hovermode: "closest",
      margin: { l: 12, r: 16, t: colour ? 64 : 16, b: 40 }, xaxis: scaled(x), yaxis: scaled(y) } };
  }

  function scaled(axis) {
    const better = axis.maximise ? "higher is better" : "lower is better";
    const title = { text: narrow() ? axis.label : `${axis.label} (${better})` };
    return wide(axis) ? { title, type: "log", ...logTicks(axis) } : { title };
  }

  const known = (axis) => axis.values.filter((value) => value !== null);
  const wide = (axis) => Math.min(...known(axis)) > 0 && Math.max(...known(axis)) > 20 * Math.min(...known(axis));

  /* 1, 2, 5, 10 ... over the values' range; the powers of ten alone where that would crowd. */
  function logTicks(axis) {
    const first = Math.floor(Math.log10(Math.min(...known(axis))));
    const last = Math.ceil(Math.log10(Math.max(...known(axis))));
    const steps = last - first > 3 ? [1] : [1, 2, 5];
    const tickvals = [];
    for (let power = first; power <= last; power += 1) {
      tickvals.push(...steps.map((step) => Number(`${step}e${power}`)));
    }
    return { tickmode: "array", tickvals, ticktext: tickvals.map((value) => value.toLocaleString("en", { maximumSignificantDigits: 3 })) };
  }

  function chooseAxes() {
    const { axes } = plots.front;
    const objectives = axes.filter((axis) => axis.objective);
    const y = objectives[0] || axes[0];
    const costs = objectives.filter((axis) => axis !== y);
    const x = costs[0] || axes.find((axis) => axis !== y && axis.name !== "accuracy_test") || y;
    const start = { "front-x": x.name, "front-y": y.name, "front-colour": costs[1] ? costs[1].name : "" };
    for (const [id, name] of Object.entries(start)) {
      const options = axes.map((axis) => new Option(axis.label, axis.name));
      if (id === "front-colour") options.unshift(new Option("one colour", ""));
      element(id).replaceChildren(...options);
      element(id).value = name;
      element(id).addEventListener("change", () => draw("front", frontFigure()));
    }
    element("front-axes").hidden = false;
  }

  /* Tables: a heading sorts; a long front shows its first rows and a button for all. */
  function sortable(table) {
    const body = table.tBodies[0];
    const headings = [...table.tHead.rows[0].cells];
    let shown = table.id === "front-table" ? ROWS_AT_FIRST : Infinity;
    const limit = () => [...body.rows].forEach((row, i) => { row.hidden = i >= shown; });
    const value = (row, column) => {
      const cell = row.cells[column];
      if (cell.dataset.value === undefined) return cell.textContent.trim();
      return cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
    };
    const compare = (a, b) => {
      if (typeof a === "string") return a.localeCompare(b);
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return a - b;
    };
    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const down = heading.getAttribute("aria-sort") === "ascending";
        headings.forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].map((row) => [value(row, column), row]);
        rows.sort(([a], [b]) => {
          const absent = Number.isNaN(a) || Number.isNaN(b);
          return down && !absent ? compare(b, a) : compare(a, b);
        });
        body.append(...rows.map(([, row]) => row));
        limit();
      });
    });
    if (body.rows.length > shown) {
      const more = document.createElement("button");
      more.type = "button";
      more.className = "more";
      more.textContent = `Show all ${body.rows.length} designs`;
      more.addEventListener("click", () => { shown = Infinity; limit(); more.remove(); });
      table.parentElement.after(more);
    }
    limit();
  }

  function drawAll() {
    for (const [name, figure] of Object.entries(plots)) {
      draw(name, name === "front" ? frontFigure() : figure);
    }
  }

  function printing(on) {
    document.documentElement.classList.toggle("printing", on);
    drawAll();
  }

  if (plots.front) chooseAxes();
  document.querySelectorAll("table.sortable").forEach(sortable);
  drawAll();
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  window.matchMedia("(max-width: 760px)").addEventListener("change", drawAll);
  window.addEventListener("beforeprint", () => printing(true));
  window.addEventListener("afterprint", () => printing(false));
})();
