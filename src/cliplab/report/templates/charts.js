// Charts: Plotly is unpacked once the page stands, and each chart is drawn as it comes into view.
page.charts = {
  drawn: new Set(),

  // Plotly's script, unpacked from this file; null where the browser cannot.
  load() {
    page.charts._loading ??= (async () => {
      if (!("DecompressionStream" in window)) return null;
      const text = atob(document.getElementById("plotly").textContent);
      const packed = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const script = document.createElement("script");
      script.textContent = await new Response(stream).text();
      document.head.append(script);
      return window.Plotly ?? null;
    })().catch(() => null);
    return page.charts._loading;
  },

  // Text of a chart: no markup, not too long.
  label(name, longest = 28) {
    const shown = name.length > longest ? `${name.slice(0, longest - 1)}…` : name;
    const escaped = shown.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
    return /^[\x20-\x7e]*$/.test(name) ? escaped : `\u2068${escaped.replace(/[\x00-\x1f\x7f]/g, " ")}\u2069`;
  },

  // The figure with this theme's colours in place of their names.
  coloured(value) {
    if (typeof value === "string") {
      return value.startsWith("var(--") ? page.colour(value.slice(4, -1)) : value;
    }
    if (Array.isArray(value)) return value.some((own) => typeof own !== "number" && own !== null) ? value.map(page.charts.coloured) : value;
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, own]) => [key, page.charts.coloured(own)]));
    }
    return value;
  },

  layout(own) {
    const axis = {gridcolor: "var(--line)", linecolor: "var(--line)", zerolinecolor: "var(--line)", automargin: true};
    return page.charts.coloured({
      margin: {l: 52, r: 14, t: 16, b: 46},
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: {family: page.colour("--font"), size: 13, color: "var(--ink)"},
      hoverlabel: {bgcolor: "var(--paper)", bordercolor: "var(--line)", font: {color: "var(--ink)"}},
      modebar: {bgcolor: "rgba(0,0,0,0)", color: "var(--muted)", activecolor: "var(--ink)"},
      dragmode: "zoom",
      ...own,
      xaxis: {...axis, ...own.xaxis},
      yaxis: {...axis, ...own.yaxis},
    });
  },

  settings: {
    responsive: true, displaylogo: false, displayModeBar: "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  },

  // Draw with what `figure` gives each time: {data, layout}.
  watch(box, figure, ready = () => {}) {
    const draw = async () => {
      const plotly = await page.charts.load();
      if (!plotly) {
        document.getElementById("no-charts").hidden = false;
        box.hidden = true;
        return;
      }
      const {data, layout} = figure();
      const first = !page.charts.drawn.has(box);
      page.charts.drawn.add(box);
      await plotly.react(box, page.charts.coloured(data), page.charts.layout(layout), page.charts.settings);
      if (first) ready(plotly);
    };
    box.redraw = () => (page.charts.drawn.has(box) ? draw() : null);
    box.draw = () => (page.charts.drawn.has(box) ? null : draw());
    page.charts.seen.observe(box);
    page.onTheme.push(() => box.redraw());
  },

  seen: new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      page.charts.seen.unobserve(entry.target);
      entry.target.draw();
    }
  }, {rootMargin: "300px"}),
};

for (const box of document.querySelectorAll(".chart[data-chart]")) {
  const figure = page.data.charts[box.dataset.chart];
  page.charts.watch(box, () => figure);
}
addEventListener("beforeprint", () => {
  document.querySelectorAll(".chart").forEach((box) => box.draw && box.draw());
});
addEventListener("load", () => setTimeout(page.charts.load, 50));
