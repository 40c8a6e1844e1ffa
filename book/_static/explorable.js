// Pictures that move, with no kernel and no network.
// Finds every <figure class="explorable">, draws it when it comes near the screen, puts labelled
// controls under it, and keeps its state in the address, so that a setting can be linked to.
// A figure is a chart (drawn by chart.js) or a stage that a hand moves (a file in stages/).
// What either needs lies beside this script and loads with the first picture that needs it.
window.explorables = (() => {
  "use strict";
  const here = document.currentScript.src;
  const VEGA = "vendor/vega/vega.min.js";

  function element(tag, attributes = {}, text = "") {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.textContent = text;
    return node;
  }

  // ------------------------------------------------------------------ what lies in other files
  const loading = {}, received = {}, stages = {};
  const load = (path) => loading[path] ??= new Promise((done, fail) => {
    const script = element("script", { src: new URL(path, here).href });
    script.onload = done;
    script.onerror = () => fail(new Error(`${path} did not load`));
    document.head.append(script);
  });
  const loadStyle = (path) => loading[path] ??= new Promise((done, fail) => {
    const link = element("link", { rel: "stylesheet", href: new URL(path, here).href });
    link.onload = done;
    link.onerror = () => fail(new Error(`${path} did not load`));
    document.head.append(link);
  });

  // The text of a chart: it stands in the page, or packed in a file, since grids are large and alike.
  async function chartOf(figure) {
    const carrier = figure.querySelector(".explorable-spec");
    const { name } = carrier.dataset;
    if (!name) return carrier.textContent;
    await load(`charts/${name}.js`);
    const bytes = Uint8Array.from(atob(received[name]), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  }

  // ------------------------------------------------------------------ controls under a picture
  // A number as a reader writes it: no more digits than the slider's step tells apart.
  function written(input, positions) {
    if (positions) return String(Number(Number(positions[input.value]).toPrecision(3)));
    const digits = (input.step.split(".")[1] ?? "").length;
    return input.valueAsNumber.toFixed(input.step === "any" ? 2 : Math.min(6, digits));
  }

  // One control of the page: what it stands for, and how to set it without telling anyone.
  // A slider may count grid points; `positions` are the values that these stand for.
  function control(input, positions, changed) {
    const kind = input.type === "select-one" ? "select" : input.type;
    const shown = input.parentElement.querySelector("output");
    const read = {
      range: () => input.valueAsNumber,
      checkbox: () => input.checked,
      select: () => JSON.parse(input.value),
    }[kind];
    const write = {
      range: (value) => { input.value = value; },
      checkbox: (value) => { input.checked = value; },
      select: (value) => { input.value = JSON.stringify(value); },
    }[kind];
    const paint = () => {
      if (kind !== "range") return;
      shown.textContent = written(input, positions);
      input.setAttribute("aria-valuetext", shown.textContent);
      input.style.setProperty("--filled", (read() - input.min) / (input.max - input.min));
    };
    const nearest = (value) => positions.reduce(
      (best, each, i) => (Math.abs(each - value) < Math.abs(positions[best] - value) ? i : best), 0,
    );
    const ends = positions ? [positions[0], positions.at(-1)] : [Number(input.min), Number(input.max)];
    const options = kind === "select" ? [...input.options].map((each) => JSON.parse(each.value)) : [];
    input.addEventListener("input", () => { paint(); changed(); });
    paint();
    return {
      param: input.dataset.param,
      name: input.dataset.param.replace(/^at_/, ""),
      signal: read,
      value: () => (positions ? positions[read()] : read()),
      put(value) { write(positions ? nearest(value) : value); paint(); },
      // Why a value cannot be shown; empty if it can.
      fault(value) {
        if (kind === "select") return options.includes(value) ? "" : `is none of ${options.join(", ")}`;
        const outside = value < Math.min(...ends) || value > Math.max(...ends);
        return kind === "range" && outside ? `lies outside ${spell(ends[0])} to ${spell(ends[1])}` : "";
      },
    };
  }

  // ------------------------------------------------------------------ the state in the address
  // ?step-size.eta=0.3&simplex.p=0.5,0.3,0.2 : figure, parameter, value as the reader sees it.
  const round = (number) => Number(number.toPrecision(6));
  const plain = (value) => (typeof value === "number" ? round(value) : value);
  const spell = (value) => (Array.isArray(value) ? value.map(plain).join(",") : String(plain(value)));

  // The value that a text stands for, for a parameter like `start`; undefined if for none.
  function understand(text, start) {
    if (Array.isArray(start)) {
      const values = text.split(",").map((part) => understand(part, start[0]));
      return values.length === start.length && !values.includes(undefined) ? values : undefined;
    }
    if (typeof start === "boolean") return { true: true, false: false }[text];
    if (typeof start !== "number") return text;
    return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined;
  }

  function addressed(figure, state, starts, anchor = location.hash) {
    const name = figure.id.replace(/^explore-/, "");
    const query = new URLSearchParams(location.search);
    for (const [key, value] of Object.entries(state)) {
      if (spell(value) === spell(starts[key])) query.delete(`${name}.${key}`);
      else query.set(`${name}.${key}`, spell(value));
    }
    const text = query.toString().replaceAll("%2C", ",");
    return location.pathname + (text ? `?${text}` : "") + anchor;
  }

  // What the address asks of a figure, as {state, faults}: what cannot be shown is named. Values are
  // judged one by one (`accept`) or together (`fits`): parameters of a stage depend on each other.
  function asked(figure, starts, { accept = () => "", fits = () => "" }) {
    const name = figure.id.replace(/^explore-/, "");
    const state = {}, faults = [];
    for (const [key, text] of new URLSearchParams(location.search)) {
      if (!key.startsWith(`${name}.`)) continue;
      const parameter = key.slice(name.length + 1);
      if (!(parameter in starts)) {
        faults.push(`This picture has no ${parameter}; it has ${Object.keys(starts).join(", ")}.`);
        continue;
      }
      const value = understand(text, starts[parameter]);
      const fault = value === undefined ? "is not a value of it" : accept(parameter, value);
      if (fault) faults.push(`The address asks for ${parameter} = ${text}, which ${fault}.`);
      else state[parameter] = value;
    }
    const fault = Object.keys(state).length && fits(state);
    if (!fault) return { state, faults };
    const wanted = Object.entries(state).map(([key, value]) => `${key} = ${spell(value)}`).join(" and ");
    return { state: {}, faults: [...faults, `The address asks for ${wanted}, which ${fault}.`] };
  }

  const remember = (address) => {
    try { history.replaceState(history.state, "", address); } catch { /* the link below the picture has it */ }
  };

  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false; // no permission, or a page opened from disk
    }
  }

  // Reset and link under a figure; `now()` is the state, `put(state)` shows another one.
  function manage(figure, now, put, rules) {
    const starts = now();
    const at = (selector) => figure.querySelector(`.explorable-${selector}`);
    const link = at("link"), said = at("said");
    const refresh = () => { link.href = addressed(figure, now(), starts, `#${figure.id}`); };
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      remember(link.href);
      said.textContent = await copied(link.href) ? "copied" : "it is in the address bar";
      setTimeout(() => { said.textContent = ""; }, 4000);
    });
    at("reset").addEventListener("click", () => put(starts));
    let timer = 0;
    figure.addEventListener("explorable:change", () => {
      refresh();
      clearTimeout(timer);
      timer = setTimeout(() => remember(addressed(figure, now(), starts)), 400);
    });
    refresh();
    at("controls").disabled = false;
    Object.assign(figure.explorable, { put, state: now });
    const { state, faults } = asked(figure, starts, rules);
    if (Object.keys(state).length) put(state);
    if (faults.length) complain(figure, faults);
  }

  function complain(figure, faults) {
    const note = element("p", { class: "explorable-note", role: "status" }, faults.join(" "));
    figure.querySelector(".explorable-view").after(note);
  }

  // Whoever keeps the state of a page (its address, a lesson, a printed twin) listens to this.
  const announce = (figure, state) => figure.dispatchEvent(
    new CustomEvent("explorable:change", { bubbles: true, detail: { ...state } }),
  );

  // ------------------------------------------------------------------ charts
  async function showChart(figure) {
    const [text] = await Promise.all([chartOf(figure), load(VEGA)]);
    const { positions = {}, handles = [] } = figure.explorable.record;
    // At most one redraw a frame, whatever the slider sends; the picture is never built anew.
    let pending = null;
    const redraw = () => {
      pending ??= requestAnimationFrame(async () => {
        pending = null;
        await picture.set(signals());
        announce(figure, now());
      });
    };
    const controls = [...figure.querySelectorAll("[data-param]")].map(
      (input) => control(input, positions[input.dataset.param], redraw),
    );
    const signals = () => Object.fromEntries(controls.map((each) => [each.param, each.signal()]));
    const now = () => Object.fromEntries(controls.map((each) => [each.name, each.value()]));
    const picture = await chart.draw(
      figure.querySelector(".explorable-view"), text, signals(), figure.explorable.alt,
    );
    figure.explorable.picture = picture;
    if (!controls.length) return;
    const put = (values) => {
      for (const each of controls) if (each.name in values) each.put(values[each.name]);
      redraw();
    };
    if (handles.length) picture.hold(handles, now, put);
    manage(figure, now, put, { accept: (name, value) => controls.find((each) => each.name === name).fault(value) });
  }

  // ------------------------------------------------------------------ stages
  // The model of anywidget, as far as a stage uses it: one trait, `state`.
  function modelOf(state, changed) {
    const listeners = [];
    return {
      get: () => state,
      set(_, next) { state = next; for (const tell of listeners) tell(); },
      save_changes: () => changed(state),
      on: (_, tell) => listeners.push(tell),
    };
  }

  async function showStage(figure) {
    const { stage, state: starts } = figure.explorable.record;
    await Promise.all([load(`stages/${stage}.js`), loadStyle("stages/stage.css")]);
    const view = figure.querySelector(".explorable-view");
    const model = modelOf(starts, (state) => announce(figure, state));
    stages[stage].render({ model, el: view });
    view.style.minHeight = "0";
    const put = (values) => {
      model.set("state", { ...model.get("state"), ...values });
      model.save_changes();
    };
    const now = () => ({ ...model.get("state") });
    manage(figure, now, put, { fits: (state) => stages[stage].fault({ ...starts, ...state }) });
  }

  // ------------------------------------------------------------------ the page
  async function show(figure) {
    return figure.explorable.shown ??= (async () => {
      try {
        await (figure.explorable.record.stage ? showStage : showChart)(figure);
        figure.dataset.drawn = "yes";
      } catch (error) {
        console.error(`${figure.id}: ${error.message}`);
        const words = `This picture could not be drawn. It shows: ${figure.explorable.alt}`;
        const sorry = element("p", { class: "explorable-failed" }, words);
        figure.querySelector(".explorable-view").replaceChildren(sorry);
        figure.dataset.drawn = "failed";
      }
    })();
  }

  const figures = [...document.querySelectorAll("figure.explorable")];
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries.filter((each) => each.isIntersecting)) {
      near.unobserve(entry.target);
      show(entry.target);
    }
  }, { rootMargin: "800px 0px" });
  for (const figure of figures) {
    const alt = figure.querySelector(".explorable-view").getAttribute("aria-label");
    const record = JSON.parse(figure.querySelector(".explorable-record").textContent);
    figure.explorable = { record, alt };
    near.observe(figure);
  }
  // Printing does not wait for drawing, so draw what is far from the screen too, one figure after
  // the other, when nothing else is to do: from the first sign of a reader on, so that a first look
  // loads what it sees and no more. What is folded away is drawn at the last moment.
  const whenIdle = window.requestIdleCallback ?? ((task) => setTimeout(task, 200));
  const rest = [...figures];
  async function drawRest() {
    const figure = rest.shift();
    if (!figure) return;
    if (figure.checkVisibility()) await show(figure);
    whenIdle(drawRest);
  }
  const signs = ["scroll", "pointermove", "pointerdown", "keydown"];
  const begin = () => {
    for (const sign of signs) window.removeEventListener(sign, begin, true);
    whenIdle(drawRest);
  };
  for (const sign of signs) window.addEventListener(sign, begin, { capture: true, passive: true });
  window.addEventListener("beforeprint", () => figures.forEach(show));

  return {
    show: (figure) => (figure ? show(figure) : Promise.all(figures.map(show))), // draw it now, or them all
    receive(name, packed) { received[name] = packed; },
    stage(name, module) { stages[name] = module; },
  };
})();
