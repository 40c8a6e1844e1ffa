// Pictures that move, with no kernel and no network.
// Finds every <figure class="explorable">, draws its Vega-Lite chart as SVG when it comes near the
// screen, and puts labelled sliders under it. Text is drawn in currentColor, so the picture follows
// the page from light to dark by itself. Vega and Vega-Lite lie beside this script, in vendor/.
(() => {
  "use strict";
  const here = document.currentScript.src;
  const LIBRARIES = ["vendor/vega/vega.min.js", "vendor/vega-lite/vega-lite.min.js"];
  const NARROW = 560; // px: below it, pictures side by side stand one below the other

  let libraries = null;
  const load = () => libraries ??= LIBRARIES.reduce((before, path) => before.then(() => new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = new URL(path, here).href;
    script.onload = done;
    script.onerror = () => fail(new Error(`${path} did not load`));
    document.head.append(script);
  })), Promise.resolve());

  // The page's look, laid over the chart's own configuration.
  function look(width, narrowest) {
    const font = getComputedStyle(document.documentElement).getPropertyValue("--font-ui").trim() || "sans-serif";
    const ink = "currentColor";
    return {
      aria: false, // the graphic has one label, its alt text, instead of one for every mark
      background: null,
      font,
      view: { stroke: null },
      axis: {
        labelColor: ink, titleColor: ink, domainColor: ink, tickColor: ink, gridColor: ink,
        gridOpacity: 0.13, domainOpacity: 0.45, tickOpacity: 0.45, labelOpacity: 0.85,
        labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal", titlePadding: 8, labelPadding: 4, labelSeparation: 6,
      },
      axisX: { tickCount: Math.max(3, Math.round(narrowest / 70)) },
      axisXDiscrete: { labelAngle: 0 },
      legend: {
        labelColor: ink, titleColor: ink, labelFontSize: 12.5, titleFontSize: 12.5,
        titleFontWeight: "normal", labelLimit: Math.max(140, width - 80),
        ...(width < NARROW && { columns: width < 420 ? 1 : 2 }),
      },
      title: { color: ink, subtitleColor: ink, fontSize: 14, fontWeight: 600, anchor: "start" },
      header: { labelColor: ink, titleColor: ink, labelFontSize: 12.5, titleFontSize: 13 },
      text: { color: ink },
      rule: { color: ink },
    };
  }

  function merge(base, over) {
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
      const both = value && typeof value === "object" && !Array.isArray(value) && typeof base?.[key] === "object";
      if (value !== undefined) result[key] = both ? merge(base[key], value) : value;
    }
    return result;
  }

  const PARTS = ["hconcat", "vconcat", "concat"];
  const isSingle = (spec) => !PARTS.some((key) => key in spec) && !("spec" in spec) && !("facet" in (spec.encoding ?? {}));

  // Give a chart, or each chart of several, the width that the page has.
  function fit(spec, width) {
    if (isSingle(spec)) return { ...spec, width: Math.max(120, Math.floor(width)) };
    if (spec.hconcat && width < NARROW) {
      const { hconcat, ...rest } = spec;
      spec = { ...rest, vconcat: hconcat };
    }
    const axes = 64; // px beside the plot of each part, for its labels
    for (const key of PARTS.filter((name) => spec[name])) {
      const columns = key === "hconcat" ? spec[key].length : key === "concat" ? spec.columns ?? 1 : 1;
      const share = (width - 24 * (columns - 1)) / columns;
      spec = { ...spec, [key]: spec[key].map((part) => fit(part, isSingle(part) ? share - axes : share)) };
    }
    return spec;
  }

  const narrowest = (spec) => Math.min(spec.width ?? Infinity,
    ...PARTS.flatMap((key) => spec[key] ?? []).map(narrowest));

  // The parameters that a reader sets, taken off the chart: our own controls set them.
  function takeControls(spec, positions) {
    const controls = [];
    for (const param of spec.params ?? []) {
      const bind = param.bind;
      if (param.select || !bind || !["range", "checkbox", "select", "radio"].includes(bind.input)) continue;
      const range = bind.input === "range";
      const options = bind.options?.map((value, i) => ({ value, text: bind.labels?.[i] ?? String(value) }));
      controls.push({
        name: param.name, label: bind.name?.replace(/:\s*$/, "") || param.name, start: param.value,
        kind: range ? "range" : options ? "select" : "checkbox", options,
        min: bind.min ?? 0, max: bind.max ?? 1, step: bind.step ?? "any", positions: positions[param.name],
      });
      delete param.bind;
    }
    return controls;
  }

  // A number as a reader writes it: no more digits than the slider's step tells apart.
  function written(value, control) {
    if (control.positions) return String(Number(Number(control.positions[value]).toPrecision(3)));
    const digits = control.step === "any" ? 2 : Math.min(6, (String(control.step).split(".")[1] ?? "").length);
    return Number(value).toFixed(digits);
  }

  function element(tag, attributes = {}, text = "") {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  }

  // One labelled control; `changed(value)` is called at each move. Returns {row, put(value)}.
  function control(item, id, changed) {
    const row = element("div", { class: "explorable-control" });
    const input = element(item.kind === "select" ? "select" : "input", { id });
    const shown = element("output", { for: id });
    if (item.kind === "select") {
      item.options.forEach((option, i) => input.append(element("option", { value: i }, option.text)));
    } else {
      input.type = item.kind;
      if (item.kind === "range") Object.assign(input, { min: item.min, max: item.max, step: item.step });
    }
    const read = {
      range: () => input.valueAsNumber, checkbox: () => input.checked, select: () => item.options[input.value].value,
    }[item.kind];
    const paint = () => {
      if (item.kind !== "range") return;
      shown.textContent = written(input.valueAsNumber, item);
      input.setAttribute("aria-valuetext", shown.textContent);
      input.style.setProperty("--filled", (input.valueAsNumber - item.min) / (item.max - item.min));
    };
    input.addEventListener("input", () => { paint(); changed(read()); });
    row.append(element("label", { for: id }, item.label), input, shown);
    return {
      row,
      put(value) {
        if (item.kind === "range") input.value = value;
        else if (item.kind === "checkbox") input.checked = value;
        else input.value = item.options.findIndex((option) => option.value === value);
        paint();
      },
    };
  }

  const refuse = () => Promise.reject(new Error("a picture of the book fetches nothing"));

  async function draw(figure) {
    const { spec, positions } = figure.explorable;
    const stage = figure.querySelector(".explorable-view");
    const alt = stage.getAttribute("aria-label");
    await load();

    let view = null, drawnAt = 0;
    const controls = takeControls(spec, positions);
    const state = Object.fromEntries(controls.map((item) => [item.name, item.start]));

    async function embed() {
      const width = stage.clientWidth;
      const single = isSingle(spec);
      const fitted = { ...fit(spec, width), background: null };
      fitted.config = merge(spec.config ?? {}, look(width, narrowest(fitted)));
      if (single) fitted.autosize = { type: "fit-x", contains: "padding" };
      else fitted.padding = { left: 0, right: 2, top: 2, bottom: 6 };
      const compiled = vegaLite.compile(fitted, { logger: vega.logger(vega.Error) }).spec;
      view?.finalize();
      const canvas = element("div", { class: "explorable-canvas" });
      view = new vega.View(vega.parse(compiled), {
        renderer: "svg", hover: true, logLevel: vega.Error, loader: { load: refuse, sanitize: refuse },
      });
      for (const [name, value] of Object.entries(state)) view.signal(name, value);
      await view.initialize(canvas).runAsync();
      stage.replaceChildren(canvas);
      const graphic = canvas.querySelector("svg");
      graphic.setAttribute("role", "img");
      graphic.setAttribute("aria-label", alt);
      for (const name of ["aria-label", "role"]) stage.removeAttribute(name);
      stage.style.minHeight = "";
      drawnAt = width;
    }

    // At most one redraw a frame, whatever the slider sends.
    let pending = null;
    function set(name, value) {
      state[name] = value;
      pending ??= requestAnimationFrame(async () => {
        pending = null;
        for (const [key, now] of Object.entries(state)) view.signal(key, now);
        await view.runAsync();
        // Whoever keeps the state of a page (its address, a lesson) listens here.
        figure.dispatchEvent(new CustomEvent("explorable:change", { bubbles: true, detail: { ...state } }));
      });
    }

    await embed();

    if (controls.length) {
      const panel = element("div", { class: "explorable-controls" });
      const made = controls.map((item) => control(item, `${figure.id}-${item.name}`, (value) => set(item.name, value)));
      const reset = element("button", { type: "button", class: "explorable-reset" }, "Reset");
      const put = (values) => controls.forEach((item, i) => {
        if (!(item.name in values)) return;
        made[i].put(values[item.name]);
        set(item.name, values[item.name]);
      });
      const starts = { ...state };
      reset.addEventListener("click", () => put(starts));
      panel.append(...made.map((each) => each.row), reset);
      controls.forEach((item, i) => made[i].put(item.start));
      stage.after(panel);
      Object.assign(figure.explorable, { put, state: () => ({ ...state }) });
    }

    let timer = 0;
    new ResizeObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(() => { if (Math.abs(stage.clientWidth - drawnAt) > 1) embed(); }, 120);
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
      const stage = figure.querySelector(".explorable-view");
      const alt = stage.getAttribute("aria-label") ?? stage.querySelector("svg")?.getAttribute("aria-label") ?? "";
      stage.replaceChildren(element("p", { class: "explorable-failed" }, `This picture could not be drawn. It shows: ${alt}`));
      figure.dataset.drawn = "failed";
    }
  }

  const heightOf = (spec) => (spec.vconcat ?? []).reduce((sum, part) => sum + heightOf(part), 0)
    || Math.max(0, ...(spec.hconcat ?? spec.concat ?? []).map(heightOf)) || (spec.height ?? 260) + 50;

  const near = "IntersectionObserver" in window && new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { near.unobserve(entry.target); show(entry.target); }
  }, { rootMargin: "800px 0px" });
  for (const figure of document.querySelectorAll("figure.explorable")) {
    const read = (name) => JSON.parse(figure.querySelector(`script.${name}`)?.textContent ?? "{}");
    const spec = read("explorable-spec");
    figure.explorable = { spec, positions: read("explorable-record").positions ?? {} };
    figure.querySelector(".explorable-view").style.minHeight = `${heightOf(spec)}px`; // nothing jumps later
    if (near) near.observe(figure); else show(figure);
  }
  window.addEventListener("beforeprint", () => document.querySelectorAll("figure.explorable").forEach(show));
})();
