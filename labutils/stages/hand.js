// What every stage is made of: SVG elements, numbers as text, handles that a hand or a key moves.
// A stage is this file, then its own, which ends by exporting { render, fault, measures }
// (a module as anywidget takes it). The book's pages load the same lines as an ordinary script.
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = {
  blue: "var(--blue, #2f7ec0)", orange: "var(--orange, #c56a12)", green: "var(--green, #16876a)",
  red: "var(--red, #cc4458)", purple: "var(--purple, #8764c0)",
};
const WORDS = { good: "var(--good, #0f6e55)", bad: "var(--bad, #b0303f)" }; // colours that read as text

function node(parent, tag, attributes = {}, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

function box(parent, tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  parent.append(made);
  return made;
}

const drawing = (parent, width, height, label) => node(parent, "svg", {
  viewBox: `0 0 ${width} ${height}`, class: "stage-drawing", role: "group", "aria-label": label,
});

const put = (element, attributes) => {
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
};

const within = (value, low, high) => Math.min(high, Math.max(low, value));
const digits = (value, places = 3) => value.toFixed(places).replace("-", "\u2212");
const signed = (value, places = 3) => { // a rounded 0 has no sign
  const text = digits(value, places);
  return Number(value.toFixed(places)) === 0 ? text.replace("\u2212", "") : (value > 0 ? "+" : "") + text;
};

// Entropy of cells with these weights, whatever their sum, in nats.
function cellEntropy(weights) {
  let total = 0, found = 0;
  for (const each of weights) total += each;
  for (const each of weights) if (each > 0) found -= (each / total) * Math.log(each / total);
  return found;
}

// The pixel of a wave whose power is a share of the highest: blue, and orange where it piles up.
function tint(power, fade) {
  const tone = Math.max(0, 2 * power - 0.7) / 1.3;
  return [47 + 165 * tone, 126 - 20 * tone, 192 - 170 * tone, 255 * power ** fade];
}

// A button that sets the state, such as "uniform".
function preset(parent, words, act) {
  const button = box(parent, "button", "stage-preset", words);
  button.type = "button";
  button.addEventListener("click", act);
  return button;
}

// Where a pointer is, in the units of a drawing.
function under(svg, event) {
  const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  return [point.x, point.y];
}

// A handle: `place([x, y])` gets the pointer in the drawing's units, `nudge([right, up])` steps of
// the arrow keys (five with Shift). Gives {move(x, y), say(text, value), pulled()}: where it
// is, how a screen reader says it, whether a hand has it now.
function handle(svg, { label, colour, shape = "circle", place, nudge, low = 0, high = 1, kind }) {
  const group = node(svg, "g", {
    class: "stage-handle", tabindex: 0, role: "slider", "aria-label": label,
    "aria-valuemin": low, "aria-valuemax": high, ...(kind && { "aria-roledescription": kind }),
  });
  node(group, "circle", { r: 22, fill: "transparent" });
  node(group, "circle", { r: 15, class: "stage-halo", fill: colour });
  const marks = {
    circle: ["circle", { r: 8.5 }],
    diamond: ["path", { d: "M0-10 10 0 0 10-10 0Z" }],
    fulcrum: ["path", { d: "M0-9 11 10H-11Z" }],
    bar: ["rect", { x: -14, y: -5, width: 28, height: 10, rx: 5 }],
    post: ["rect", { x: -5, y: -11, width: 10, height: 22, rx: 5 }],
  };
  const [tag, attributes] = marks[shape];
  node(group, tag, { ...attributes, fill: colour, class: "stage-knob" });

  let grip = null; // from the pointer to the middle of the handle, so that it does not jump
  let middle = [0, 0];
  group.addEventListener("pointerdown", (event) => {
    const [x, y] = under(svg, event);
    grip = [middle[0] - x, middle[1] - y];
    group.setPointerCapture(event.pointerId);
    group.focus({ preventScroll: true });
    event.preventDefault();
    event.stopPropagation();
  });
  group.addEventListener("pointermove", (event) => {
    if (!grip) return;
    const [x, y] = under(svg, event);
    place([x + grip[0], y + grip[1]]);
  });
  group.addEventListener("click", (event) => event.stopPropagation());
  for (const end of ["pointerup", "pointercancel"]) group.addEventListener(end, () => { grip = null; });
  const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  group.addEventListener("keydown", (event) => {
    const way = KEYS[event.key];
    if (!way) return;
    nudge(way.map((each) => each * (event.shiftKey ? 5 : 1)));
    event.preventDefault();
  });
  return {
    group,
    pulled: () => grip !== null,
    move(x, y) {
      middle = [x, y];
      group.setAttribute("transform", `translate(${x.toFixed(2)} ${y.toFixed(2)})`);
    },
    say(text, value) { put(group, { "aria-valuetext": text, "aria-valuenow": value }); },
  };
}

// Draw now, and again after each change, at most once a frame. `paint(state)` does it; gives
// `change(values)`, which sets part of the state.
function follow(model, paint) {
  let pending = null;
  const redraw = () => {
    pending ??= requestAnimationFrame(() => {
      pending = null;
      paint(model.get("state"));
    });
  };
  model.on("change:state", redraw);
  paint(model.get("state"));
  return (values) => {
    model.set("state", { ...model.get("state"), ...values });
    model.save_changes();
    redraw();
  };
}
