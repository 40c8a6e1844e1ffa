// How a chart of the book looks and is drawn: the page's type and ink, a width that follows the page,
// handles on the chart that a hand pulls. Used by explorable.js. Charts are compiled when the book is built.
window.chart = (() => {
  "use strict";
  // What a chart leaves open for its page to give (charts.py): words such as `@width0` in its text.
  function fit(text, width) {
    const chart = JSON.parse(text);
    const layout = (width < 560 && chart.narrow) || chart.wide;
    const widths = layout.widths.map(([share, less]) => Math.max(120, Math.floor(share * width + less)));
    const given = {
      "@font": getComputedStyle(document.documentElement).getPropertyValue("--font-ui").trim() || "sans-serif",
      "@ticks": Math.max(3, Math.round(Math.min(...widths) / 70)),
      "@limit": Math.max(140, width - 80),
      "@columns": width < 420 ? 1 : 2,
    };
    widths.forEach((each, i) => { given[`@width${i}`] = each; });
    chart.data.forEach((each, i) => { given[`@data${i}`] = each; });
    const fill = (node) => {
      for (const [key, value] of Object.entries(node)) {
        if (typeof value === "object" && value) fill(value);
        else if (value in given) node[key] = given[value];
      }
      return node;
    };
    return fill(layout.chart);
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
  async function draw(stage, text, state, alt) {
    let view = null, drawnAt = 0;
    const after = []; // what lies over the drawing and follows it
    const redrawn = () => { for (const follow of after) follow(); };

    async function embed() {
      const width = stage.clientWidth;
      view?.finalize();
      // Expressions are walked, never made into code: the page's policy forbids eval.
      view = new vega.View(vega.parse(fit(text, width), null, { ast: true }), {
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
        const follow = () => {
          for (const handle of handles) pin(overlay(stage), handle, place(view, handle.part), now, put);
        };
        after.push(follow);
        follow();
      },
      // Lines across a part of the chart, each at a place on its axis x or y: [{at, name}].
      lines(part, axis, marks) {
        stage.marks = () => rule(overlay(stage), place(view, part), axis, marks);
        if (!after.includes(stage.follow)) after.push(stage.follow = () => stage.marks());
        stage.marks();
      },
      // Tell which place on an axis of a part is clicked.
      clicked(part, axis, tell) {
        stage.addEventListener("click", (event) => {
          const at = under(overlay(stage), event), axes = place(view, part);
          const along = axis === "x" ? at.x - axes.left : at.y - axes.top;
          const [low, high] = [...axes[axis].range()].sort((a, b) => a - b);
          if (along >= low && along <= high) tell(axes[axis].invert(along));
        });
      },
    };
  }

  // The layer of handles over a drawing, made once for each drawing, in the drawing's units.
  const SVG = "http://www.w3.org/2000/svg";
  function overlay(stage) {
    const graphic = stage.querySelector(".explorable-canvas > svg");
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
    const padding = view.padding();
    let [left, top] = view.origin().map((each, i) => each + (i ? padding.top : padding.left));
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

  const under = (layer, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(layer.getScreenCTM().inverse());

  // Lines over a part of a drawing, with their names at the far end.
  function rule(layer, axes, axis, marks) {
    for (const old of layer.querySelectorAll(".explorable-mark")) old.remove();
    const [x, y] = [axes.x.range(), axes.y.range()].map((range) => [Math.min(...range), Math.max(...range)]);
    marks.forEach(({ at, name }, number) => {
      const place = axes[axis](at) + (axes[axis].bandwidth?.() ?? 0) / 2; // the middle of a bar
      const ends = axis === "x" ? [place, y[0], place, y[1]] : [x[0], place, x[1], place];
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", "explorable-mark");
      group.setAttribute("transform", `translate(${axes.left} ${axes.top})`);
      const line = document.createElementNS(SVG, "path");
      line.setAttribute("d", `M${ends[0]} ${ends[1]}L${ends[2]} ${ends[3]}`);
      const words = document.createElementNS(SVG, "text");
      const right = axis === "x" ? place > (x[0] + x[1]) / 2 : number % 2 === 0; // names of lines near each other stay apart
      words.setAttribute("x", (axis === "x" ? place : x[right ? 1 : 0]) + (right ? -5 : 5));
      words.setAttribute("y", (axis === "x" ? y[0] + 13 + 16 * number : place - 5));
      words.setAttribute("text-anchor", right ? "end" : "start");
      words.textContent = name;
      group.append(line, words);
      layer.append(group);
    });
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
      const at = under(layer, event);
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
