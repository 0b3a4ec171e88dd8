"use strict";
// What all parts of the page share: its data, its theme, and how an element comes to be.
// Whatever comes from data is set as text, never read as HTML.
const page = {
  data: JSON.parse(document.getElementById("data").textContent),

  // Unpacked when the first of them is wanted.
  picture(place) {
    if (place === null || place === undefined) return null;
    page._pictures ??= JSON.parse(document.getElementById("pictures").textContent);
    return page._pictures[place];
  },

  // element("p", {className: "x"}, "text", child)
  element(name, properties = {}, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children.filter((child) => child !== null));
    return made;
  },

  name(text) {
    return page.element("bdi", {className: "clip", title: text, textContent: text});
  },

  image(place, alternative) {
    const address = page.picture(place);
    if (!address) return null;
    const image = page.element("img", {alt: alternative, decoding: "async"});
    image.addEventListener("load", () => {
      if (Math.max(image.naturalWidth, image.naturalHeight) <= 48) image.classList.add("tiny");
    });
    image.src = address;
    return image;
  },

  table(columns, rows, names) {
    const head = page.element("tr");
    columns.forEach((column, i) => {
      head.append(page.element("th", {scope: "col", className: i < names ? "" : "number", textContent: column}));
    });
    const body = page.element("tbody");
    for (const row of rows) {
      const line = page.element("tr");
      row.forEach((cell, i) => {
        line.append(i < names ? page.element("td", {}, page.element("bdi", {textContent: cell}))
          : page.element("td", {className: "number", textContent: cell}));
      });
      body.append(line);
    }
    const table = page.element("table", {}, page.element("thead", {}, head), body);
    const frame = page.element("div", {className: "scroll tall", tabIndex: 0}, table);
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", columns.join(", "));
    return frame;
  },

  // A card near the pointer.
  tip: {
    show(event, ...children) {
      const tip = document.getElementById("tip");
      tip.replaceChildren(...children.filter((child) => child !== null));
      tip.hidden = false;
      const box = tip.getBoundingClientRect();
      const left = event.clientX + 16 + box.width > innerWidth ? event.clientX - box.width - 16 : event.clientX + 16;
      const top = event.clientY + 16 + box.height > innerHeight ? event.clientY - box.height - 16 : event.clientY + 16;
      tip.style.left = `${Math.max(4, left)}px`;
      tip.style.top = `${Math.max(4, top)}px`;
    },
    hide() { document.getElementById("tip").hidden = true; },
  },

  colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  },

  onTheme: [],
};

// ---------------------------------------------------------------------------- light and dark

{
  const button = document.getElementById("theme");
  const themes = ["auto", "light", "dark"];
  let theme = "auto";
  const set = (wanted) => {
    theme = wanted;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.querySelector("span").textContent = theme;
    page.onTheme.forEach((told) => told());
  };
  button.hidden = false;
  button.addEventListener("click", () => set(themes[(themes.indexOf(theme) + 1) % themes.length]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.onTheme.forEach((told) => told()));
  let before = "auto";
  addEventListener("beforeprint", () => { before = theme; set("light"); });
  addEventListener("afterprint", () => set(before));
}

// ---------------------------------------------------------------------------- pictures in place

{
  const seen = new IntersectionObserver((entries) => {
    for (const {isIntersecting, target} of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      target.append(page.image(Number(target.dataset.picture), target.dataset.told));
    }
  }, {rootMargin: "600px"});
  document.querySelectorAll("[data-picture]").forEach((frame) => seen.observe(frame));
}

// ---------------------------------------------------------------------------- by class

for (const table of document.querySelectorAll("table.classes")) {
  const section = table.closest("section");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const names = rows.map((row) => row.querySelector("bdi").textContent);
  const lower = names.map((name) => name.toLowerCase());
  const at = new Map(rows.map((row, i) => [row, i]));
  const value = (row, key) => {
    if (key === "n" || key === "difference") return row.dataset[key] === "" ? null : Number(row.dataset[key]);
    const shown = row.querySelectorAll(".bar")[Number(key)].dataset.value;
    return shown === "" ? null : Number(shown);
  };
  const by = (key, up) => (a, b) => {
    if (key === "name") return (up ? 1 : -1) * names[at.get(a)].localeCompare(names[at.get(b)]);
    const [x, y] = [value(a, key), value(b, key)];
    if (x === null || y === null) return (x === null) - (y === null);  // not scored: last
    return (up ? x - y : y - x) || at.get(a) - at.get(b);
  };
  table.tHead.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    const up = button.dataset.order ? button.dataset.order !== "up" : true;
    for (const other of table.tHead.querySelectorAll("button")) {
      delete other.dataset.order;
      other.closest("th").removeAttribute("aria-sort");
    }
    button.dataset.order = up ? "up" : "down";
    button.closest("th").setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...[...rows].sort(by(button.dataset.sort, up)));
  });
  section.querySelector(".filter").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    let n = 0;
    rows.forEach((row, i) => {
      row.hidden = !lower[i].includes(wanted);
      n += !row.hidden;
    });
    section.querySelector(".shown").textContent = wanted ? `${n} of ${rows.length} classes` : `${rows.length} classes`;
  });
  body.addEventListener("click", (event) => {
    const button = event.target.closest(".to-pictures");
    if (button) page.galleries[table.closest(".run").dataset.run]?.ofClass(Number(button.closest("tr").dataset.place));
  });
}

for (const filter of document.querySelectorAll(".filter-grids")) {
  const grids = [...filter.closest("section").querySelectorAll("[data-name]")];
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const grid of grids) grid.hidden = !grid.dataset.name.includes(wanted);
  });
}

// ---------------------------------------------------------------------------- several runs

for (const tabs of document.querySelectorAll("[role=tablist]")) {
  const buttons = [...tabs.querySelectorAll("[role=tab]")];
  const choose = (chosen) => {
    for (const button of buttons) {
      const on = button === chosen;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      document.getElementById(button.getAttribute("aria-controls")).hidden = !on;
    }
  };
  tabs.addEventListener("click", (event) => {
    const button = event.target.closest("[role=tab]");
    if (button) choose(button);
  });
  tabs.addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    const next = buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length];
    next.focus();
    choose(next);
  });
}

// ---------------------------------------------------------------------------- where one is

{
  const links = [...document.querySelectorAll("nav.sections a")];
  const seen = new Map(links.map((link) => [document.getElementById(link.hash.slice(1)), link]));
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      seen.get(entry.target)?.setAttribute("aria-current", "true");
    }
  }, {rootMargin: "-15% 0px -75% 0px"});
  seen.forEach((_link, section) => section && watch.observe(section));
}
