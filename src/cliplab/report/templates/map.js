// The map of the vectors: a point a picture, which is shown where the pointer is.
page.map = (run) => {
  const section = document.getElementById(`${run}-map`);
  const block = page.data.runs[run].map;
  const {names, classifiers} = page.data.runs[run].gallery;
  const box = section.querySelector(".points");
  const colour = section.querySelector(".colour");
  const highlight = section.querySelector(".highlight");
  const all = block.x.map((_x, i) => i);

  const trace = (name, rows, own) => ({
    type: "scatter", mode: "markers", name, x: rows.map((i) => block.x[i]), y: rows.map((i) => block.y[i]),
    customdata: rows, hoverinfo: "none", ...own,
  });

  const traces = () => {
    const size = all.length > 800 ? 6 : 8;
    if (highlight.value !== "") {
      const wanted = Number(highlight.value);
      const own = all.filter((i) => block.labels[i] === wanted);
      return [
        trace("the others", all.filter((i) => block.labels[i] !== wanted), {marker: {size, color: "var(--line)"}}),
        trace(page.charts.label(names[wanted]), own, {marker: {size: size + 2, color: "var(--series-1)"}}),
      ];
    }
    if (colour.value === "class") {
      const symbols = ["circle", "diamond"];
      return [...new Set(block.labels)].sort((a, b) => a - b).map((label) => trace(
        page.charts.label(names[label], 20), all.filter((i) => block.labels[i] === label),
        {marker: {size, color: `var(--series-${(label % 6) + 1})`, symbol: symbols[Math.floor(label / 6) % 2], opacity: 0.8}},
      ));
    }
    const said = block.said[Number(colour.value)];
    const right = (i) => said[i] === block.labels[i];
    return [
      trace("right", all.filter(right), {marker: {size, color: "var(--series-1)", opacity: 0.55}}),
      trace("wrong", all.filter((i) => !right(i)), {marker: {size, color: "var(--bad)", symbol: "x", opacity: 0.9}}),
    ];
  };

  const figure = () => ({
    data: traces(),
    layout: {
      xaxis: {title: {text: `component 1, ${block.shares[0]} %`}, zeroline: false},
      yaxis: {title: {text: `component 2, ${block.shares[1]} %`}, zeroline: false, scaleanchor: innerWidth > 760 ? "x" : undefined},
      legend: {orientation: "h", y: 1.02, yanchor: "bottom", x: 0}, margin: {l: 52, r: 10, t: 40, b: 46},
    },
  });

  const ready = () => {
    box.on("plotly_hover", ({points, event}) => {
      const i = points[0].customdata;
      const told = classifiers.map((title, c) => page.element(
        "div", {className: block.said[c][i] === block.labels[i] ? "right" : "wrong"},
        `${title}: `, page.name(names[block.said[c][i]]), ` ${block.sure[c][i].toFixed(1)} %`,
      ));
      page.tip.show(
        event, page.image(block.at[i], ""), page.element("div", {}, "given ", page.name(names[block.labels[i]])), ...told,
        page.element("div", {className: "told"}, page.name(block.ids[i])),
      );
    });
    box.on("plotly_unhover", page.tip.hide);
  };

  page.charts.watch(box, figure, ready);
  colour.addEventListener("change", () => { highlight.value = ""; box.redraw(); });
  highlight.addEventListener("change", () => box.redraw());
  section.querySelector(".lazy").addEventListener("toggle", (event) => {
    const details = event.target;
    details.querySelector(".scroll")?.remove();
    if (!details.open) return;
    const rows = all.map((i) => [block.ids[i], names[block.labels[i]], ...block.said.map((said) => names[said[i]]), block.x[i].toFixed(3), block.y[i].toFixed(3)]);
    details.append(page.table(["picture", "given", ...classifiers, "x", "y"], rows, 2 + classifiers.length));
  });
};

addEventListener("scroll", page.tip.hide, {passive: true});
for (const [run, block] of Object.entries(page.data.runs)) {
  if (block.confusion.names.length) {
    page.confusion(run);
    page.gallery(run);
  }
  if (block.map) page.map(run);
}
