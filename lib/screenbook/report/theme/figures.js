/* Figures: drawn when they come into view, in the colours of the theme, with their data to
   download. The page carries plotly's JSON; arrays are base64, repeated text is coded. */

"use strict";

(() => {
  const { all, one, compounds } = screenbook;

  /* Reading the arrays. */

  const TYPES = {
    i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array,
    i4: Int32Array, u4: Uint32Array, f4: Float32Array, f8: Float64Array,
  };

  function decodeArray({ dtype, bdata, shape }) {
    const bytes = Uint8Array.from(atob(bdata), (char) => char.charCodeAt(0));
    const flat = new TYPES[dtype](bytes.buffer);
    if (shape === undefined) return flat;
    const sides = String(shape).split(",").map(Number);
    if (sides.length < 2) return flat;
    const width = sides.slice(1).reduce((a, b) => a * b, 1);
    return Array.from({ length: sides[0] }, (_, i) => {
      const row = flat.subarray(i * width, (i + 1) * width);
      if (sides.length === 2) return row;
      const [, rows, columns] = sides;
      return Array.from({ length: rows }, (_, k) => row.subarray(k * columns, (k + 1) * columns));
    });
  }

  function decode(node) {
    if (node === null || typeof node !== "object") return node;
    if (node.bdata !== undefined) return decodeArray(node);
    if (node.codes !== undefined) return Array.from(decodeArray(node.codes), (c) => node.names[c]);
    if (node.columns !== undefined && Array.isArray(node.columns)) {
      const columns = node.columns.map(decode);
      return Array.from(columns[0], (_, i) => columns.map((column) => column[i]));
    }
    const entries = Array.isArray(node) ? node : Object.entries(node);
    return Array.isArray(node)
      ? entries.map(decode)
      : Object.fromEntries(entries.map(([key, value]) => [key, decode(value)]));
  }

  /* Colours of the theme: set in the template, so that what a figure sets itself stands. */

  function themed(template) {
    const style = getComputedStyle(document.documentElement);
    const paper = window.matchMedia("print").matches;
    const colour = (name, light) => paper ? light : style.getPropertyValue(name).trim();
    const ink = colour("--ink", "#1d2126");
    const grid = colour("--grid", "#e3e6ea");
    const muted = colour("--muted", "#59626e");
    const zero = colour("--zero", "#b4bbc4");
    const ground = colour("--paper", "#ffffff");
    const axis = { gridcolor: grid, zerolinecolor: zero, linecolor: zero, tickcolor: zero };
    const layout = { ...(template.layout || {}) };
    for (const name of ["xaxis", "yaxis"]) layout[name] = { ...layout[name], ...axis };
    return {
      ...template,
      layout: {
        ...layout,
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { ...layout.font, color: ink, family: style.getPropertyValue("--sans") },
        legend: { ...layout.legend, itemsizing: "constant" },
        hoverlabel: {
          ...layout.hoverlabel, bgcolor: ground, bordercolor: muted, font: { color: ink } },
        modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: ink },
        updatemenudefaults: { bgcolor: ground, bordercolor: muted, font: { color: ink } },
        sliderdefaults: { bgcolor: muted, font: { color: ink } },
      },
    };
  }

  /* Some remote desktops have no WebGL: there, points are drawn as SVG while they are few. */

  const MOST_AS_SVG = 20_000;

  const webgl = (() => {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();

  function withoutWebgl(data) {
    const points = data.reduce((n, trace) => n + (trace.x ? trace.x.length : 0), 0);
    const drawable = data.every((trace) => !/gl$|3d$|splom|parcoords/.test(trace.type || "")
      || (trace.type === "scattergl" && points <= MOST_AS_SVG));
    return drawable
      ? data.map((trace) => trace.type === "scattergl" ? { ...trace, type: "scatter" } : trace)
      : null;
  }

  /** The compound of each point of a trace, or null if it does not follow the convention. */
  function compoundNames(trace) {
    if (trace.meta !== "compound" || !trace.customdata) return null;
    const name = (entry) => Array.isArray(entry) ? entry[0] : entry;
    return trace.type === "heatmap"
      ? Array.from(trace.customdata, (row) => Array.from(row, name))
      : Array.from(trace.customdata, name);
  }

  class Figure {
    constructor(plot) {
      this.plot = plot;
      this.figure = plot.closest("figure");
      this.id = this.figure.id;
      const text = document.getElementById(plot.dataset.figure).textContent;
      if (/"compound"|"follow"/.test(text)) this.rememberCompounds();
    }

    /** Parse the figure when it is first needed. */
    get content() {
      if (!this.parsed) {
        this.parsed = decode(screenbook.payload(this.plot.dataset.figure));
        this.names = this.parsed.data.map(compoundNames);
        // Plotly changes the traces that it is given, so what a selection changes is kept apart.
        this.own = this.parsed.data.map(({ opacity = 1, error_x, error_y }) =>
          ({ opacity, error_x: { ...error_x }, error_y: { ...error_y } }));
      }
      return this.parsed;
    }

    /** Compounds of the menu, entry by entry, of a figure that shows the selected one. */
    get followed() {
      return (this.content.layout.meta || {}).follow || [];
    }

    rememberCompounds() {
      for (const name of this.content && [...this.names.flat(2), ...this.followed]) {
        if (name) compounds.names.set(String(name).toLowerCase(), String(name));
      }
    }

    async draw() {
      if (this.drawing) return this.drawing;
      const { data, layout } = this.content;
      const preview = one(".preview", this.plot);
      const traces = webgl ? data : withoutWebgl(data);
      if (!traces) return this.leavePreview();
      // A group and no picture: plotly's buttons inside can be reached by keyboard.
      const chart = screenbook.element("div", {
        class: "chart", role: "group", "aria-label": "Chart", "aria-describedby": this.id + "-caption" });
      // A figure may say how it is arranged where its panels would be too narrow side by side.
      const phone = this.plot.clientWidth < 600;
      const narrow = phone && layout.meta && layout.meta.narrow;
      chart.style.height = (narrow ? narrow.height : layout.height) + "px";
      if (narrow) this.plot.style.minHeight = chart.style.height; // until now that of a wide page
      if (phone && !narrow) this.keepPanelsLegible(chart, layout);
      this.chart = chart;
      this.plot.append(chart);
      this.template = layout.template || {};
      const touch = window.matchMedia("(pointer: coarse)").matches;
      const shown = {
        ...layout,
        template: themed(this.template),
        autosize: true,
        ...(touch && { dragmode: false }),  // a finger on a figure scrolls the page
      };
      const settings = {
        responsive: true,
        displaylogo: false,
        displayModeBar: touch ? false : "hover",
        // "Share chart" would send the data to a server of plotly's.
        modeBarButtonsToRemove: ["sendChartToCloud", "select2d", "lasso2d", "autoScale2d"],
        plotlyServerURL: "",
        typesetMath: false,
        toImageButtonOptions: { format: "svg", filename: this.id },
      };
      preview.style.position = "absolute";
      const plotted = Plotly.newPlot(chart, traces, shown, settings);
      this.drawing = plotted.then(() => narrow && Plotly.relayout(chart, narrow)).then(() => {
        preview.remove();
        this.plot.dataset.drawn = "true";
        chart.on("plotly_click", (event) => this.pick(event.points[0]));
        chart.on("plotly_buttonclicked", (event) => {
          if (this.followed[event.active]) screenbook.select(this.followed[event.active]);
        });
        if (compounds.selected.size) this.highlight();
      });
      return this.drawing;
    }

    /** Panels side by side keep a width on a phone; the figure then scrolls in its box. */
    keepPanelsLegible(chart, layout) {
      const starts = Object.entries(layout)
        .filter(([key, axis]) => /^xaxis\d*$/.test(key) && axis.domain && !axis.overlaying)
        .map(([, axis]) => axis.domain[0].toFixed(2));
      const least = 140 + 190 * new Set(starts).size;
      if (new Set(starts).size < 2 || least <= this.plot.clientWidth) return;
      chart.style.minWidth = least + "px";
      this.plot.tabIndex = 0;
      this.plot.setAttribute("role", "region");
      this.plot.setAttribute("aria-labelledby", this.id + "-caption");
    }

    leavePreview() {
      this.plot.append(screenbook.element("p", { class: "rows" },
        "This browser has no WebGL, so the figure stays a picture of its marks, without axes."));
      this.plot.dataset.drawn = "preview";
      this.drawing = Promise.resolve();
      return this.drawing;
    }

    recolour() {
      if (this.chart) Plotly.relayout(this.chart, { template: themed(this.template) });
    }

    pick(point) {
      if (!this.names[point.curveNumber]) return;
      const entry = point.customdata;
      const name = Array.isArray(entry) ? entry[0] : entry;
      if (name) screenbook.toggle(String(name));
    }

    /** Turn a figure with a menu of compounds to the one that is selected. */
    follow() {
      const entry = this.followed.findIndex((name) => compounds.selected.has(name));
      const menu = this.chart && this.chart.data && this.chart.layout.updatemenus;
      if (entry < 0 || !menu || menu[0].active === entry) return;
      const [traces, layout, which] = menu[0].buttons[entry].args;
      Plotly.update(this.chart, traces, { ...layout, "updatemenus[0].active": entry }, which);
    }

    /** Bring the selected compounds forward; give the number of their points. */
    highlight() {
      if (this.content && this.followed.length) this.follow();
      if (!this.content || !this.names.some(Boolean)) return 0;
      const chosen = compounds.selected;
      let points = 0;
      const shapes = [];
      const restyled = { traces: [], selectedpoints: [], opacity: [], whiskers: [] };
      const hits = this.names.map((names) => names && names.flatMap(
        (name, i) => (!Array.isArray(name) && chosen.has(String(name)) ? [i] : [])));
      const heat = this.names.map((names, t) => names && this.parsed.data[t].type === "heatmap");
      const any = hits.some((found) => found && found.length);
      this.names.forEach((names, t) => {
        if (!names) return;
        const trace = this.parsed.data[t];
        if (heat[t]) {
          const found = this.cells(trace, names);
          points += found.length;
          shapes.push(...found);
          return;
        }
        points += hits[t].length;
        // A line, or a set of points, of one compound: it is dimmed or not as a whole.
        const single = names.length > 1 && names[0] && new Set(names).size === 1;
        const own = this.own[t].opacity;
        restyled.traces.push(t);
        restyled.selectedpoints.push(any && !single ? hits[t] : null);
        restyled.opacity.push(any && single && !hits[t].length ? 0.12 : own);
        restyled.whiskers.push(any && !single ? new Set(hits[t]) : null);
      });
      if (this.chart && this.chart.data) this.apply(restyled, heat.some(Boolean) ? shapes : null);
      return points;
    }

    apply({ traces, selectedpoints, opacity, whiskers }, shapes) {
      const size = traces.map((t) => {
        const own = (this.parsed.data[t].marker || {}).size;
        return typeof own === "number" ? Math.max(9, own * 1.6) : 9;
      });
      if (traces.length) {
        Plotly.restyle(this.chart, {
          selectedpoints,
          opacity,
          "selected.marker.opacity": 1,
          "unselected.marker.opacity": 0.12,
          ...(traces.every((t) => /^scatter/.test(this.parsed.data[t].type || "scatter")) && {
            "selected.marker.size": size }),
        }, traces);
        this.keepWhiskers(traces, whiskers);
      }
      if (shapes) {
        Plotly.relayout(this.chart, {
          shapes: [...(this.parsed.layout.shapes || []), ...shapes.slice(0, 500)] });
      }
    }

    /** Whiskers cannot be dimmed point by point: while there is a selection, only its own stay. */
    keepWhiskers(traces, kept) {
      for (const bars of ["error_x", "error_y"]) {
        for (const side of ["array", "arrayminus"]) {
          const ends = (t) => this.own[t][bars][side];
          const some = traces.map((t, i) => [t, kept[i]]).filter(([t]) => ends(t));
          if (!some.length) continue;
          const values = some.map(([t, own]) => own
            ? Array.from(ends(t), (end, i) => (own.has(i) ? end : null)) : ends(t));
          Plotly.restyle(this.chart, { [`${bars}.${side}`]: values }, some.map(([t]) => t));
        }
      }
    }

    /** Frames around the cells of a heatmap (a plate, say) that hold a selected compound. */
    cells(trace, names) {
      const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
      const side = (values, i) => {
        const numeric = values && typeof values[i] === "number";
        const middle = numeric ? values[i] : i;
        const step = numeric && values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
        return [middle - step / 2, middle + step / 2];
      };
      return names.flatMap((row, r) => row.flatMap((name, c) => {
        if (!compounds.selected.has(String(name))) return [];
        const [x0, x1] = side(trace.x, c);
        const [y0, y1] = side(trace.y, r);
        const axes = { xref: trace.xaxis || "x", yref: trace.yaxis || "y" };
        return [{ type: "rect", ...axes, x0, x1, y0, y1, line: { color: ink, width: 2.5 } }];
      }));
    }

    /* The numbers behind the figure, one row for each point. */

    save() {
      const { data, layout } = this.content;
      const title = (axis, fallback) =>
        ((axis && axis.title && (axis.title.text || "")) || fallback).replace(/<[^>]*>/g, " ");
      const name = (key, ref) => title(layout[key + "axis" + (ref || key).slice(1)], key);
      const width = Math.max(0, ...data.map((t) => (t.customdata && t.customdata[0]
        && Array.isArray(t.customdata[0]) ? t.customdata[0].length : t.customdata ? 1 : 0)));
      const first = data[0] || {};
      const extra = Array.from({ length: width }, (_, i) =>
        i === 0 && data.some((t) => t.meta === "compound") ? "compound" : `detail ${i + 1}`);
      const head = ["series", name("x", first.xaxis), name("y", first.yaxis), "value", "text", ...extra];
      const rows = data.flatMap((trace, t) => pointRows(trace, trace.name || `series ${t + 1}`, width));
      const used = head.map((_, j) => j < 3 || rows.some((row) => row[j] !== null));
      const table = [head, ...rows].map((row) => row.filter((_, j) => used[j]));
      screenbook.download(`${document.body.dataset.notebook}_${this.id}.csv`,
        screenbook.delimited(table, ","));
    }
  }

  /** series, x, y, value (of a heatmap, or a colour scale), text, custom data. */
  function pointRows(trace, series, width) {
    const at = (values, i) => {
      if (values === undefined || values === null || typeof values !== "object") return null;
      const value = values[i] === undefined ? null : values[i];
      // float32 carries seven digits; more would be noise.
      return typeof value === "number" && values instanceof Float32Array
        ? Number(value.toPrecision(7)) : value;
    };
    const details = (entry) => Array.from({ length: width }, (_, k) =>
      Array.isArray(entry) || ArrayBuffer.isView(entry) ? at(entry, k) : k === 0 ? entry ?? null : null);
    if (trace.z) {
      return Array.from(trace.z).flatMap((row, r) => Array.from(row, (_, c) => {
        const custom = at(trace.customdata, r);
        return [series, at(trace.x, c) ?? c, at(trace.y, r) ?? r, at(row, c), at(at(trace.text, r), c),
          ...details(custom ? custom[c] : null)];
      }));
    }
    const count = Math.max(0, ...[trace.x, trace.y].map((v) => (v ? v.length : 0)));
    const colour = trace.marker && trace.marker.color;
    const measured = colour && typeof colour === "object" && typeof colour[0] === "number";
    return Array.from({ length: count }, (_, i) => [
      series, at(trace.x, i), at(trace.y, i), measured ? at(colour, i) : null,
      at(trace.text, i) ?? at(trace.hovertext, i), ...details(at(trace.customdata, i))]);
  }

  const figures = all(".plot").map((plot) => new Figure(plot));
  const figureOf = new Map(figures.map((figure) => [figure.plot, figure]));

  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        figureOf.get(entry.target).draw();
      }
    }
  }, { rootMargin: "600px 0px" });

  for (const figure of figures) {
    seen.observe(figure.plot);
    const tools = one(".tools", figure.figure);
    tools.hidden = false;
    one("button", tools).addEventListener("click", () => figure.save());
  }

  document.addEventListener("themechange", () => figures.forEach((figure) => figure.recolour()));

  document.addEventListener("compounds", (event) => {
    for (const figure of figures) event.detail.points += figure.highlight();
  });

  /* On paper everything is drawn, and in light colours. */
  const drawAll = () => figures.forEach((figure) => { figure.draw(); figure.recolour(); });
  window.addEventListener("beforeprint", drawAll);
  window.matchMedia("print").addEventListener("change", drawAll);
  screenbook.drawAll = () => Promise.all(figures.map((figure) => figure.draw()));
})();
