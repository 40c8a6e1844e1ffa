// Pictures that move, with no kernel and no network.
// Finds every <figure class="explorable">, draws its Vega-Lite chart as SVG when it comes near the
// screen, and puts labelled controls under it. chart-look.js gives the chart the page's look.
// Vega and Vega-Lite lie beside this script, in vendor/, and load with the first picture.
(() => {
  "use strict";
  const here = document.currentScript.src;
  const LIBRARIES = ["vendor/vega/vega.min.js", "vendor/vega-lite/vega-lite.min.js"];
  const INPUTS = ["range", "checkbox", "select", "radio"];

  const loadOne = (path) => new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = new URL(path, here).href;
    script.onload = done;
    script.onerror = () => fail(new Error(`${path} did not load`));
    document.head.append(script);
  });
  let libraries = null;
  const load = () => libraries ??= LIBRARIES.reduce(
    (before, path) => before.then(() => loadOne(path)), Promise.resolve(),
  );

  function element(tag, attributes = {}, text = "") {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  }

  // The parameters that a reader sets, taken off the chart: our own controls set them.
  function takeControls(spec, positions) {
    const controls = [];
    for (const param of spec.params ?? []) {
      const bind = param.bind;
      if (param.select || !INPUTS.includes(bind?.input)) continue;
      const { min = 0, max = 1, step = "any", options, labels } = bind;
      controls.push({
        name: param.name,
        label: bind.name?.replace(/:\s*$/, "") || param.name,
        kind: bind.input === "range" ? "range" : options ? "select" : "checkbox",
        start: param.value,
        positions: positions[param.name], // what a slider that counts grid points stands for
        min, max, step, options, labels,
      });
      delete param.bind;
    }
    return controls;
  }

  // A number as a reader writes it: no more digits than the slider's step tells apart.
  function written(value, item) {
    if (item.positions) return String(Number(Number(item.positions[value]).toPrecision(3)));
    const digits = (String(item.step).split(".")[1] ?? "").length;
    return value.toFixed(item.step === "any" ? 2 : Math.min(6, digits));
  }

  // One labelled control; `changed(value)` is called at each move. Gives {row, put(value)}.
  function control(item, id, changed) {
    const row = element("div", { class: "explorable-control" });
    const input = element(item.kind === "select" ? "select" : "input", { id });
    const shown = element("output", { for: id });
    if (item.kind === "select") {
      const texts = item.options.map((option, i) => item.labels?.[i] ?? String(option));
      input.append(...texts.map((text, i) => element("option", { value: i }, text)));
    } else {
      input.type = item.kind;
    }
    if (item.kind === "range") {
      Object.assign(input, { min: item.min, max: item.max, step: item.step });
    }
    const read = {
      range: () => input.valueAsNumber,
      checkbox: () => input.checked,
      select: () => item.options[input.value],
    }[item.kind];
    const write = {
      range: (value) => { input.value = value; },
      checkbox: (value) => { input.checked = value; },
      select: (value) => { input.value = item.options.indexOf(value); },
    }[item.kind];
    const paint = () => {
      if (item.kind !== "range") return;
      shown.textContent = written(read(), item);
      input.setAttribute("aria-valuetext", shown.textContent);
      input.style.setProperty("--filled", (read() - item.min) / (item.max - item.min));
    };
    input.addEventListener("input", () => { paint(); changed(read()); });
    row.append(element("label", { for: id }, item.label), input, shown);
    return { row, put(value) { write(value); paint(); } };
  }

  const refuse = () => Promise.reject(new Error("a picture of the book fetches nothing"));

  async function draw(figure) {
    const { spec, positions, alt } = figure.explorable;
    const stage = figure.querySelector(".explorable-view");
    await load();

    const controls = takeControls(spec, positions);
    const state = Object.fromEntries(controls.map((item) => [item.name, item.start]));
    let view = null, drawnAt = 0;

    async function embed() {
      const width = stage.clientWidth;
      const fitted = chartLook.fit(spec, width);
      const compiled = vegaLite.compile(fitted, { logger: vega.logger(vega.Error) }).spec;
      view?.finalize();
      view = new vega.View(vega.parse(compiled), {
        renderer: "svg", hover: true, logLevel: vega.Error,
        loader: { load: refuse, sanitize: refuse },
      });
      for (const [name, value] of Object.entries(state)) view.signal(name, value);
      const canvas = element("div", { class: "explorable-canvas" });
      await view.initialize(canvas).runAsync();
      stage.replaceChildren(canvas);
      const graphic = canvas.querySelector("svg");
      graphic.setAttribute("role", "img");
      graphic.setAttribute("aria-label", alt);
      for (const name of ["aria-label", "role"]) stage.removeAttribute(name);
      stage.style.minHeight = "";
      drawnAt = width;
    }

    // At most one redraw a frame, whatever the slider sends; the picture is never built anew.
    let pending = null;
    function set(name, value) {
      state[name] = value;
      pending ??= requestAnimationFrame(async () => {
        pending = null;
        for (const [key, now] of Object.entries(state)) view.signal(key, now);
        await view.runAsync();
        // Whoever keeps the state of a page (its address, a lesson) listens here.
        const news = { bubbles: true, detail: { ...state } };
        figure.dispatchEvent(new CustomEvent("explorable:change", news));
      });
    }

    await embed();

    if (controls.length) {
      const made = controls.map((item) => control(
        item, `${figure.id}-${item.name}`, (value) => set(item.name, value),
      ));
      const put = (values) => controls.forEach((item, i) => {
        if (!(item.name in values)) return;
        made[i].put(values[item.name]);
        set(item.name, values[item.name]);
      });
      const starts = { ...state };
      const reset = element("button", { type: "button", class: "explorable-reset" }, "Reset");
      reset.addEventListener("click", () => put(starts));
      const panel = element("div", { class: "explorable-controls" });
      panel.append(...made.map((each) => each.row), reset);
      controls.forEach((item, i) => made[i].put(item.start));
      stage.after(panel);
      Object.assign(figure.explorable, { put, state: () => ({ ...state }) });
    }

    let timer = 0;
    new ResizeObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (stage.clientWidth > 0 && Math.abs(stage.clientWidth - drawnAt) > 1) embed();
      }, 120);
    }).observe(stage);
    figure.dataset.drawn = "yes";
  }

  async function show(figure) {
    if (figure.explorable.started) return;
    figure.explorable.started = true;
    try {
      await draw(figure);
    } catch (error) {
      console.error(`${figure.id}: ${error.message}`);
      const words = `This picture could not be drawn. It shows: ${figure.explorable.alt}`;
      const sorry = element("p", { class: "explorable-failed" }, words);
      figure.querySelector(".explorable-view").replaceChildren(sorry);
      figure.dataset.drawn = "failed";
    }
  }

  const figures = [...document.querySelectorAll("figure.explorable")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      near.unobserve(entry.target);
      show(entry.target);
    }
  }, { rootMargin: "800px 0px" });
  for (const figure of figures) {
    const read = (name) => JSON.parse(figure.querySelector(`script.${name}`)?.textContent ?? "{}");
    const stage = figure.querySelector(".explorable-view");
    const spec = read("explorable-spec");
    const { positions = {} } = read("explorable-record");
    figure.explorable = { spec, positions, alt: stage.getAttribute("aria-label") };
    stage.style.minHeight = `${chartLook.height(spec)}px`;
    near.observe(figure);
  }
  window.addEventListener("beforeprint", () => figures.forEach(show));
})();
