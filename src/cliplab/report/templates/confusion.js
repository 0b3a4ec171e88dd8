// The confusion matrix: all classes or the most confused, with its names as space allows.
page.confusion = (run) => {
  const section = document.getElementById(`${run}-confusion`);
  const block = page.data.runs[run].confusion;
  const box = section.querySelector(".matrix");
  const choice = section.querySelector(".classifier");
  const extent = section.querySelector(".extent");
  const classifier = () => Number(choice ? choice.value : 0);
  let shown = [];

  const classes = (cells) => {
    const all = block.names.map((_name, i) => i);
    const most = extent ? Number(extent.value) : 0;
    if (!most) return all;
    const wrong = all.map(() => 0);
    for (const [given, said, n] of cells) {
      if (given !== said) {
        wrong[given] += n;
        wrong[said] += n;
      }
    }
    return all.sort((a, b) => wrong[b] - wrong[a] || a - b).slice(0, most).sort((a, b) => a - b);
  };

  const ticks = (low, high, pixels, room) => {
    const first = Math.max(0, Math.ceil(low));
    const last = Math.min(shown.length - 1, Math.floor(high));
    const step = Math.max(1, Math.ceil((last - first + 1) / Math.max(4, Math.floor(pixels / room))));
    const places = [];
    for (let i = first; i <= last; i += step) places.push(i);
    const longest = innerWidth < 760 ? 12 : 20;
    return {tickvals: places, ticktext: places.map((i) => page.charts.label(block.names[shown[i]], longest))};
  };

  const figure = () => {
    const cells = block.cells[classifier()];
    shown = classes(cells);
    const at = new Map(shown.map((label, i) => [label, i]));
    const shares = shown.map(() => new Array(shown.length).fill(null));
    const counts = shown.map(() => new Array(shown.length).fill(0));
    for (const [given, said, n] of cells) {
      if (!at.has(given) || !at.has(said)) continue;
      shares[at.get(given)][at.get(said)] = (100 * n) / block.n[given];
      counts[at.get(given)][at.get(said)] = n;
    }
    box.counts = counts;
    const scale = [[0, "var(--heat-0)"], [0.02, "var(--heat-1)"], [0.35, "var(--heat-2)"], [1, "var(--heat-3)"]];
    const side = Math.max(120, box.clientHeight - 110);
    const end = shown.length - 0.5;
    return {
      data: [{
        type: "heatmap", z: shares, zmin: 0, zmax: 100, colorscale: scale, hoverinfo: "none",
        xgap: shown.length > 60 ? 0 : 1, ygap: shown.length > 60 ? 0 : 1, showscale: innerWidth > 760,
        colorbar: {title: {text: "%"}, thickness: 10, len: 0.6, outlinewidth: 0},
      }],
      layout: {
        plot_bgcolor: "var(--heat-0)", margin: {l: 60, r: 8, t: 8, b: 60},
        xaxis: {range: [-0.5, end], ...ticks(0, end, side, 24), title: {text: "said", standoff: 10}, showgrid: false, zeroline: false, tickangle: -50},
        yaxis: {range: [end, -0.5], ...ticks(0, end, side, 17), title: {text: "given", standoff: 12}, showgrid: false, zeroline: false},
      },
    };
  };

  const ready = (plotly) => {
    box.on("plotly_relayout", (change) => {
      if (!Object.keys(change).some((key) => key.includes("range"))) return;
      const [x, y] = [box.layout.xaxis.range, box.layout.yaxis.range];
      const side = Math.max(120, box.clientHeight - 110);
      const [across, down] = [ticks(Math.min(...x), Math.max(...x), side, 24), ticks(Math.min(...y), Math.max(...y), side, 17)];
      plotly.relayout(box, {
        "xaxis.tickvals": across.tickvals, "xaxis.ticktext": across.ticktext,
        "yaxis.tickvals": down.tickvals, "yaxis.ticktext": down.ticktext,
      });
    });
    box.on("plotly_hover", ({points, event}) => {
      const {x, y, z} = points[0];
      if (z === null || z === undefined) return page.tip.hide();
      const n = box.counts[y][x];
      return page.tip.show(
        event,
        page.element("div", {}, "given ", page.name(block.names[shown[y]])),
        page.element("div", {}, "said ", page.name(block.names[shown[x]])),
        page.element("div", {textContent: `${n.toLocaleString("en")} of ${block.n[shown[y]].toLocaleString("en")}, ${z.toFixed(1)} %`}),
      );
    });
    box.on("plotly_unhover", page.tip.hide);
  };

  page.charts.watch(box, figure, ready);
  choice?.addEventListener("change", () => {
    for (const list of section.querySelectorAll(".of-classifier")) list.hidden = list.dataset.classifier !== choice.value;
    box.redraw();
  });
  extent?.addEventListener("change", () => box.redraw());
  section.addEventListener("click", (event) => {
    const button = event.target.closest(".to-pair");
    if (button) page.galleries[run].ofPair(classifier(), Number(button.dataset.given), Number(button.dataset.said));
  });
  section.querySelector(".lazy").addEventListener("toggle", (event) => {
    const details = event.target;
    details.querySelector(".scroll")?.remove();
    if (!details.open) return;
    const rows = block.cells[classifier()].map(([given, said, n]) => [block.names[given], block.names[said], n.toLocaleString("en"), ((100 * n) / block.n[given]).toFixed(1)]);
    details.append(page.table(["given", "said", "pictures", "% of class"], rows, 2));
  });
};
