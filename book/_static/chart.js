// How a chart of the book looks and is drawn: the page's type and ink, a width that follows the page,
// handles on the chart that a hand pulls. Used by explorable.js. Specs are Vega-Lite.
window.chart = (() => {
  "use strict";
  const NARROW = 560; // px: below it, pictures side by side stand one below the other
  const AXES = 64; // px beside the plot of each part, for its labels
  const GAP = 24; // px between two parts
  const PARTS = ["hconcat", "vconcat", "concat"];

  const isSingle = (spec) => !PARTS.some((key) => key in spec) && !("spec" in spec)
    && !("facet" in (spec.encoding ?? {}));

  // Laid over the chart's own configuration. Text takes currentColor, so it follows the theme.
  function config(width, narrowest) {
    const style = getComputedStyle(document.documentElement);
    const ink = "currentColor";
    return {
      aria: false, // the graphic has one label, its alt text, instead of one for every mark
      background: null,
      font: style.getPropertyValue("--font-ui").trim() || "sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: ink, titleColor: ink, domainColor: ink, tickColor: ink, gridColor: ink,
        gridOpacity: 0.13, domainOpacity: 0.45, tickOpacity: 0.45, labelOpacity: 0.85,
        labelFontSize: 12, titleFontSize: 13, titleFontWeight: "normal",
        titlePadding: 8, labelPadding: 4, labelSeparation: 6,
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
    const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
      result[key] = isObject(value) && isObject(base?.[key]) ? merge(base[key], value) : value;
    }
    return result;
  }

  // Give a chart, or each chart of several, the width that the page has.
  function spread(spec, width) {
    if (isSingle(spec)) return { ...spec, width: Math.max(120, Math.floor(width)) };
    if (spec.hconcat && width < NARROW) {
      const { hconcat, ...rest } = spec;
      spec = { ...rest, vconcat: hconcat };
    }
    for (const key of PARTS.filter((name) => spec[name])) {
      const columns = { hconcat: spec[key].length, vconcat: 1, concat: spec.columns ?? 1 }[key];
      const share = (width - GAP * (columns - 1)) / columns;
      const parts = spec[key].map((part) => spread(part, isSingle(part) ? share - AXES : share));
      spec = { ...spec, [key]: parts };
    }
    return spec;
  }

  const narrowest = (spec) => Math.min(
    spec.width ?? Infinity, ...PARTS.flatMap((key) => spec[key] ?? []).map(narrowest),
  );

  // The chart in the page's look at this width.
  function fit(spec, width) {
    const fitted = { ...spread(spec, width), background: null };
    fitted.config = merge(spec.config ?? {}, config(width, narrowest(fitted)));
    if (isSingle(spec)) fitted.autosize = { type: "fit-x", contains: "padding" };
    else fitted.padding = { left: 0, right: 2, top: 2, bottom: 6 };
    return fitted;
  }

  // Vega refers to its gradients and clips by the page's whole address, which the state of a figure changes.
  function refer(graphic) {
    for (const name of ["fill", "stroke", "clip-path"]) {
      for (const part of graphic.querySelectorAll(`[${name}*="#"][${name}^="url("]`)) {
        part.setAttribute(name, part.getAttribute(name).replace(/^url\(["']?[^#]*#([^"')]+)["']?\)/, "url(#$1)"));
      }
    }
  }

  const refuse = () => Promise.reject(new Error("a picture of the book fetches nothing"));

  // Draw a chart into an element and keep it as wide as the page. Gives {set(state), scale(...)}.
  async function draw(stage, spec, state, alt) {
    let view = null, drawnAt = 0, redrawn = () => {};

    async function embed() {
      const width = stage.clientWidth;
      const compiled = vegaLite.compile(fit(spec, width), { logger: vega.logger(vega.Error) }).spec;
      view?.finalize();
      // Expressions are walked, never made into code: the page's policy forbids eval.
      view = new vega.View(vega.parse(compiled, null, { ast: true }), {
        expr: vega.expressionInterpreter,
        renderer: "svg", hover: true, logLevel: vega.Error,
        loader: { load: refuse, sanitize: refuse },
      });
      for (const [name, value] of Object.entries(state)) view.signal(name, value);
      const canvas = document.createElement("div");
      canvas.className = "explorable-canvas";
      await view.initialize(canvas).runAsync();
      stage.replaceChildren(canvas);
      const graphic = canvas.querySelector("svg");
      graphic.setAttribute("role", "img");
      graphic.setAttribute("aria-label", alt);
      for (const part of graphic.children) part.setAttribute("aria-hidden", "true");
      refer(graphic);
      for (const name of ["aria-label", "role"]) stage.removeAttribute(name);
      stage.style.minHeight = "0";
      drawnAt = width;
      redrawn();
    }

    await embed();
    let timer = 0;
    new ResizeObserver(() => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (stage.clientWidth > 0 && Math.abs(stage.clientWidth - drawnAt) > 1) embed();
      }, 120);
    }).observe(stage);

    return {
      async set(next) {
        Object.assign(state, next);
        for (const [name, value] of Object.entries(state)) view.signal(name, value);
        await view.runAsync();
        refer(stage);
        redrawn();
      },
      // Put handles on the chart; `now()` gives the values of the parameters, `put(values)` sets them.
      // They are for the hand: the sliders below do the same by keyboard.
      hold(handles, now, put) {
        redrawn = () => {
          const graphic = stage.querySelector(".explorable-canvas > svg");
          const layer = overlay(graphic);
          for (const handle of handles) pin(layer, handle, place(view, handle.part), now, put);
        };
        redrawn();
      },
    };
  }

  // The layer of handles over a drawing, made once for each drawing, in the drawing's units.
  const SVG = "http://www.w3.org/2000/svg";
  function overlay(graphic) {
    let layer = graphic.parentElement.querySelector(".explorable-handles");
    if (layer) return layer;
    layer = document.createElementNS(SVG, "svg");
    layer.setAttribute("class", "explorable-handles");
    layer.setAttribute("aria-hidden", "true");
    layer.setAttribute("viewBox", graphic.getAttribute("viewBox"));
    layer.style.width = `${graphic.getBoundingClientRect().width}px`;
    graphic.after(layer);
    return layer;
  }

  // The scales of one part of a drawing, with its corner: {x, y, left, top}.
  function place(view, part) {
    let [left, top] = view.origin();
    let group = view.scenegraph().root.items[0], prefix = "";
    for (const index of part) {
      prefix += `concat_${index}_`;
      group = group.items.find((mark) => mark.name === `${prefix}group`).items[0];
      left += group.x;
      top += group.y;
    }
    return { x: view.scale(`${prefix}x`), y: view.scale(`${prefix}y`), left, top };
  }

  // Put a handle where its parameters are; the first time, make it and let the hand move it.
  function pin(layer, handle, axes, now, put) {
    const value = (given) => (typeof given === "string" ? now()[given] : given);
    const knob = layer.querySelector(`[data-name="${handle.name}"]`) ?? grip(layer, handle, put);
    knob.axes = axes;
    knob.setAttribute("cx", axes.left + axes.x(value(handle.x)));
    knob.setAttribute("cy", axes.top + axes.y(value(handle.y)));
  }

  function grip(layer, handle, put) {
    const knob = document.createElementNS(SVG, "circle");
    knob.dataset.name = handle.name;
    knob.setAttribute("r", 10);
    knob.setAttribute("class", "explorable-handle");
    knob.style.stroke = handle.colour;
    layer.append(knob);
    let pulled = false;
    knob.addEventListener("pointerdown", (event) => {
      pulled = true;
      knob.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    knob.addEventListener("pointermove", (event) => {
      if (!pulled) return;
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(layer.getScreenCTM().inverse());
      const values = {};
      for (const [axis, along] of [["x", at.x - knob.axes.left], ["y", at.y - knob.axes.top]]) {
        if (typeof handle[axis] === "string") values[handle[axis]] = knob.axes[axis].invert(along);
      }
      put(values);
    });
    for (const end of ["pointerup", "pointercancel"]) knob.addEventListener(end, () => { pulled = false; });
    return knob;
  }

  return { draw };
})();
