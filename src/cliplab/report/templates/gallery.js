// The gallery: pictures by what they tell, each with the class given and what was said.
page.galleries = {};

page.gallery = (run) => {
  const section = document.getElementById(`${run}-pictures`);
  const block = page.data.runs[run].gallery;
  const cards = section.querySelector(".cards");
  const choice = section.querySelector(".classifier");
  const classOf = section.querySelector(".class");
  const pairOf = section.querySelector(".pair");
  const classifier = () => Number(choice ? choice.value : 0);
  const bare = block.pictures.every((picture) => picture.at === null);
  let view = "mistakes";

  const line = (title, dot, said, share, right) => {
    const who = page.element("span", {}, title);
    if (dot !== null) who.prepend(page.element("i", {className: `dot s${(dot % 6) + 1}`}));
    const head = page.element("div", {className: "head"}, who, page.element("span", {className: "share", textContent: `${share.toFixed(1)} %`}));
    const told = page.element("div", {className: right === null ? "said" : right ? "said right" : "said wrong"}, page.name(said));
    return page.element("div", {className: "row"}, head, told);
  };

  const card = (picture) => {
    const given = block.names[picture.label];
    const said = picture.says.map(([c]) => block.names[c]);
    const own = classifier();
    const told = page.element("figcaption", {}, line("given", null, given, picture.says[own][2], null));
    picture.says.forEach(([c, share], i) => {
      told.append(line(block.classifiers[i], i, said[i], share, c === picture.label));
    });
    told.append(page.element("div", {className: "id"}, page.name(picture.id)));
    const frame = page.element("div", {className: "frame"});
    const image = page.image(picture.at, `${picture.id}: given ${given}, said ${said[own]}`);
    frame.append(image ?? page.element("span", {textContent: "picture not shown"}));
    const made = page.element("figure", {className: "card"}, bare ? null : frame, told);
    made.dataset.id = picture.id;
    return made;
  };

  const fillPairs = () => {
    const kept = pairOf.value;
    pairOf.replaceChildren(...block.choices[classifier()].pairs.map(([given, said]) => {
      const short = (name) => (name.length > 40 ? `${name.slice(0, 39)}…` : name);
      return page.element("option", {value: `${given},${said}`, textContent: `${short(block.names[given])} → ${short(block.names[said])}`});
    }));
    if ([...pairOf.options].some((option) => option.value === kept)) pairOf.value = kept;
  };

  const chosen = () => {
    const own = block.choices[classifier()];
    if (view === "mistakes") return [own.mistakes, "the most confident mistakes"];
    if (view === "hits") return [own.hits, "the least confident hits"];
    if (view === "class") {
      const [mistakes, hits] = [own.class_mistakes[classOf.value] ?? [], own.class_hits[classOf.value] ?? []];
      return [[...mistakes, ...hits], `${mistakes.length} mistakes and ${hits.length} hits of this class`];
    }
    const pair = own.pairs.find(([given, said]) => `${given},${said}` === pairOf.value);
    return [pair ? pair[2] : [], "the most confident of this pair"];
  };

  const show = () => {
    const [places, told] = chosen();
    section.querySelector(".choose-class").hidden = view !== "class";
    section.querySelector(".choose-pair").hidden = view !== "pair";
    for (const button of section.querySelectorAll(".segments button")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    section.querySelector(".count").textContent = places.length ? `${places.length} pictures: ${told}.` : "No such picture.";
    cards.replaceChildren(...places.map((place) => card(block.pictures[place])));
  };

  const go = () => {
    show();
    section.scrollIntoView();
  };

  section.querySelector(".segments").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) {
      view = button.dataset.view;
      show();
    }
  });
  choice?.addEventListener("change", () => { fillPairs(); show(); });
  classOf.addEventListener("change", show);
  pairOf.addEventListener("change", show);
  page.galleries[run] = {
    ofClass(place) { view = "class"; classOf.value = String(place); go(); },
    ofPair(own, given, said) {
      if (choice) choice.value = String(own);
      fillPairs();
      view = "pair";
      pairOf.value = `${given},${said}`;
      go();
    },
  };
  fillPairs();
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    show();
  }, {rootMargin: "600px"});
  seen.observe(section);
  addEventListener("beforeprint", () => cards.childElementCount || show());
};
