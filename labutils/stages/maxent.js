// The pmf on the faces of a die that is most uncertain among those that a reader's constraints allow.
// Letters as in the part "What entropy measures": p_k is proportional to exp(-lambda f_k); nats.
const FACES = [1, 2, 3, 4, 5, 6];
const FREE = -1; // in `pins`: this bar may have any height
const NEAR = 0.004; // how far constraints keep from the edge, where multipliers diverge

const sum = (values) => values.reduce((total, each) => total + each, 0);
const dot = (p, values) => sum(p.map((each, i) => each * values[i]));
const entropy = (p) => -sum(p.map((each) => (each > 0 ? each * Math.log(each) : 0)));
const squares = FACES.map((x) => x * x);

// What is asked of the faces that are not pinned: their mass, mean and mean square.
function rest({ mean, spread, holdMean, holdSpread, pins }) {
  const faces = FACES.filter((_, i) => pins[i] === FREE);
  const held = pins.map((pin) => (pin === FREE ? 0 : pin));
  const mass = 1 - sum(held);
  const wanted = [];
  if (holdMean) wanted.push({ values: faces, target: (mean - dot(held, FACES)) / mass });
  if (holdSpread) {
    wanted.push({ values: faces.map((x) => x * x), target: (spread ** 2 + mean ** 2 - dot(held, squares)) / mass });
  }
  return { faces, mass, wanted };
}

// Why no pmf has these values; empty if one has. Means and mean squares of pmfs on the free faces fill
// the hull of the points (x, x^2): above the polygon through neighbours, below the chord of the ends.
function fault(state) {
  if (state.holdSpread && !state.holdMean) return "holds the spread about a mean that is not held";
  if (state.pins.some((pin) => pin !== FREE && (pin < 0 || pin > 1))) return "holds a bar outside 0 to 1";
  const { faces, mass, wanted } = rest(state);
  if (faces.length < 1 + wanted.length) return "asks for more than the free bars can meet";
  if (mass < 0.01) return "holds bars that leave less than 0.01 to the others";
  if (!wanted.length) return "";
  const [low, high] = [faces[0], faces.at(-1)], m = wanted[0].target;
  if (!(m > low + NEAR && m < high - NEAR)) return "asks for a mean at or beyond the edge of what such a pmf can have";
  if (wanted.length < 2) return "";
  const right = faces.findIndex((x) => x >= m), [a, b] = [faces[right - 1], faces[right]];
  const line = (u, v) => u * u + (u + v) * (m - u); // through (u, u^2) and (v, v^2), at m
  const [floor, ceiling] = [line(a, b), line(low, high)];
  const inside = wanted[1].target > floor + NEAR && wanted[1].target < ceiling - NEAR;
  return inside ? "" : "asks for a spread at or beyond the edge of what a pmf with this mean can have";
}

// Minimise log Z(lambda) + lambda . target by Newton steps with halving: its minimum is the entropy.
function solve(state) {
  const { faces, mass, wanted } = rest(state);
  const features = wanted.map(({ values, target }) => values.map((value) => value - target));
  const size = features.length;
  const weigh = (lambda) => {
    const powers = faces.map((_, i) => -sum(features.map((f, a) => lambda[a] * f[i])));
    const top = Math.max(0, ...powers);
    const weights = powers.map((power) => Math.exp(power - top));
    return { weights, logZ: top + Math.log(sum(weights)) };
  };
  let lambda = Array(size).fill(0), now = weigh(lambda);
  for (let round = 0; round < 100 && size; round += 1) {
    const p = now.weights.map((each) => each / sum(now.weights));
    const slope = features.map((f) => -dot(p, f));
    const curve = features.map((f, a) => features.map((g, b) => dot(p, f.map((each, i) => each * g[i])) - slope[a] * slope[b]));
    const step = size === 1 ? [slope[0] / curve[0][0]] : (() => {
      const det = curve[0][0] * curve[1][1] - curve[0][1] ** 2;
      return [(curve[1][1] * slope[0] - curve[0][1] * slope[1]) / det,
        (curve[0][0] * slope[1] - curve[0][1] * slope[0]) / det];
    })();
    if (Math.max(...slope.map(Math.abs)) < 1e-12) break;
    let share = 1, next = null;
    do {
      const trial = lambda.map((each, a) => each - share * step[a]);
      next = { trial, ...weigh(trial) };
      share /= 2;
    } while (next.logZ > now.logZ && share > 1e-9);
    lambda = next.trial;
    now = next;
  }
  const total = sum(now.weights);
  let i = 0;
  const p = state.pins.map((pin) => (pin === FREE ? (mass * now.weights[i++]) / total : pin));
  return { p, multipliers: lambda, height: (x) => {
    const power = -sum(wanted.map(({ target }, a) => lambda[a] * ((a ? x * x : x) - target)));
    return mass * Math.exp(power - now.logZ);
  } };
}

// The pmf, its entropy, its multipliers, and what each constraint takes off, one added after the other.
function measures(state) {
  const found = solve(state);
  const bare = { ...state, holdMean: false, holdSpread: false, pins: FACES.map(() => FREE) };
  const ladder = [["nothing known", Math.log(FACES.length)]];
  const add = (words, more) => {
    Object.assign(bare, more);
    ladder.push([words, entropy(solve(bare).p)]);
  };
  if (state.holdMean) add(`mean ${digits(state.mean, 2)}`, { holdMean: true });
  if (state.holdSpread) add(`spread ${digits(state.spread, 2)}`, { holdSpread: true });
  if (state.pins.some((pin) => pin !== FREE)) add("bars held", { pins: state.pins });
  return { p: found.p, entropy: entropy(found.p), multipliers: found.multipliers, ladder };
}

function render({ model, el }) {
  const root = box(el, "div", "stage stage-maxent");
  const left = box(root, "div");
  const picture = drawing(left, 480, 350, "The most uncertain pmf on the faces 1 to 6");
  let tall = 400; // px for the probability 1; follows the highest bar, but not while a hand pulls one
  const base = 252, rail = 306, column = (x) => 74 + 72 * (x - 1), faceAt = (px) => 1 + (px - 74) / 72;
  const levels = [0, 0.25, 0.5, 0.75, 1].map((level) => ({
    level,
    line: node(picture, "line", { x1: 36, x2: 470, class: "stage-grid" }),
    text: node(picture, "text", { x: 29, "text-anchor": "end", class: "stage-small" }, digits(level, 2)),
  }));
  const uniform = node(picture, "line", { x1: 36, x2: 470, class: "stage-contour" });
  const bars = FACES.map((x) => node(picture, "rect", { x: column(x) - 23, width: 46, rx: 3, opacity: 0.5 }));
  const curve = node(picture, "path", { class: "stage-curve", stroke: COLOURS.orange });
  FACES.forEach((x) => node(picture, "text", { x: column(x), y: base + 19, "text-anchor": "middle" }, x));
  node(picture, "line", { x1: 36, x2: 470, y1: rail, y2: rail, class: "stage-grid" });
  const span = node(picture, "line", { y1: rail, y2: rail, "stroke-width": 4, stroke: COLOURS.green });
  const mirror = node(picture, "rect", { width: 4, height: 18, y: rail - 9, rx: 2, fill: COLOURS.green });
  const shares = FACES.map((x) => node(picture, "text", { x: column(x), "text-anchor": "middle", class: "stage-small" }));
  const railName = node(picture, "text", { x: 253, y: rail + 40, "text-anchor": "middle", class: "stage-small" });

  const side = box(root, "div", "stage-side");
  const said = box(side, "p", "stage-verdict");
  const numbers = box(side, "dl", "stage-numbers");
  const note = box(side, "p", "stage-note");
  note.setAttribute("role", "status");
  const presets = box(root, "div", "stage-presets");
  const state = () => model.get("state");

  // Move towards what is asked, as far as some pmf goes along.
  function seek(asked) {
    const from = { ...state(), ...("holdMean" in asked ? { holdMean: asked.holdMean } : {}) };
    const to = { ...state(), ...asked };
    note.textContent = "";
    if (!fault(to)) return change(asked);
    note.textContent = `No further: this ${fault(to)}.`;
    const moving = Object.keys(asked).filter((key) => typeof asked[key] === "number");
    const between = (share) => ({ ...asked, ...Object.fromEntries(moving.map((key) => (
      [key, Math.round((state()[key] + share * (asked[key] - state()[key])) * 1e4) / 1e4]))) });
    if (!moving.length || fault({ ...from, ...between(0) })) return undefined;
    let [low, high] = [0, 1];
    for (let i = 0; i < 30; i += 1) {
      const middle = (low + high) / 2;
      if (fault({ ...state(), ...between(middle) })) high = middle;
      else low = middle;
    }
    return change(between(low));
  }
  const pinned = (k, value) => {
    const goal = Math.round(within(value, 0, 1) * 200) / 200;
    for (let at = goal; at >= 0; at -= 0.005) { // lower it until the rest can still meet the constraints
      const height = Math.round(at * 200) / 200;
      const pins = state().pins.map((each, i) => (i === k ? height : each));
      if (!fault({ ...state(), pins })) {
        note.textContent = height < goal ? `No further: with more, it ${fault({ ...state(), pins: pins.map((each, i) => (i === k ? goal : each)) })}.` : "";
        return change({ pins });
      }
    }
    note.textContent = `This bar cannot be held as well: it ${fault({ ...state(), pins: state().pins.map((each, i) => (i === k ? goal : each)) })}.`;
    return undefined;
  };

  const current = () => {
    const { p } = solve(state()), mean = dot(p, FACES);
    return { p, mean, spread: Math.sqrt(dot(p, squares) - mean ** 2) };
  };
  const hundredth = (value) => Math.round(value * 100) / 100;
  const tops = FACES.map((x, k) => handle(picture, {
    label: `probability of ${x}`, shape: "bar", colour: COLOURS.purple,
    place: ([, y]) => pinned(k, (base - y) / tall),
    nudge: ([right, up]) => pinned(k, current().p[k] + 0.01 * (right + up)),
  }));
  const free = (k) => { note.textContent = ""; seek({ pins: state().pins.map((each, i) => (i === k ? FREE : each)) }); };
  tops.forEach(({ group }, k) => {
    group.addEventListener("dblclick", () => free(k));
    group.addEventListener("keydown", (event) => {
      if (["Delete", "Backspace"].includes(event.key)) { free(k); event.preventDefault(); }
    });
  });
  const balance = handle(picture, {
    label: "mean", shape: "fulcrum", colour: COLOURS.blue, low: 1, high: 6,
    place: ([x]) => seek({ mean: hundredth(within(faceAt(x), 1, 6)), holdMean: true }),
    nudge: ([right, up]) => seek({ mean: hundredth(current().mean + 0.05 * (right + up)), holdMean: true }),
  });
  const width = handle(picture, {
    label: "spread, the standard deviation", shape: "post", colour: COLOURS.green, low: 0, high: 2.5,
    place: ([x]) => hold(hundredth(Math.abs(faceAt(x) - current().mean))),
    nudge: ([right, up]) => hold(hundredth(current().spread + 0.05 * (right + up))),
  });
  function hold(spread) {
    const { mean, spread: now } = current();
    if (!state().holdSpread) {
      const start = { mean: state().holdMean ? state().mean : hundredth(mean), holdMean: true, spread: hundredth(now), holdSpread: true };
      const why = fault({ ...state(), ...start });
      if (why) {
        note.textContent = `No further: this ${why}.`;
        return;
      }
      change(start);
    }
    seek({ spread });
  }

  function paint(given) {
    const { p, multipliers, height } = solve(given);
    const { ladder } = measures(given);
    const mean = dot(p, FACES), spread = Math.sqrt(Math.max(0, dot(p, squares) - mean ** 2));
    if (!tops.some(({ pulled }) => pulled())) tall = 222 / Math.max(0.5, 1.04 * Math.max(...p));
    for (const { level, line, text } of levels) {
      const y = base - tall * level, visibility = y < 14 ? "hidden" : "visible";
      put(line, { y1: y, y2: y, visibility });
      put(text, { y: y + 4, visibility });
    }
    put(uniform, { y1: base - tall / 6, y2: base - tall / 6 });
    FACES.forEach((x, k) => {
      const held = given.pins[k] !== FREE, top = base - tall * p[k];
      put(bars[k], { y: top, height: tall * p[k], fill: held ? COLOURS.purple : COLOURS.blue });
      tops[k].move(column(x), top);
      tops[k].group.classList.toggle("stage-idle", !held);
      tops[k].say(`${p[k].toFixed(3)}${held ? ", held" : ""}`, p[k]);
      put(shares[k], { y: Math.max(12, top - 13) });
      shares[k].textContent = digits(p[k], 2);
    });
    const points = Array.from({ length: 113 }, (_, i) => 0.7 + (5.6 * i) / 112);
    let pen = "M"; // lifted where the curve leaves the picture
    put(curve, { d: points.map((x) => {
      const y = base - tall * height(x);
      if (y < 4) { pen = "M"; return ""; }
      const piece = `${pen}${column(x).toFixed(1)} ${y.toFixed(1)}`;
      pen = "L";
      return piece;
    }).join("") });
    balance.move(column(mean), rail + 10);
    balance.group.classList.toggle("stage-idle", !given.holdMean);
    balance.say(`${mean.toFixed(2)}${given.holdMean ? ", held" : ""}`, mean);
    width.move(column(mean + spread), rail);
    width.group.classList.toggle("stage-idle", !given.holdSpread);
    width.say(`${spread.toFixed(2)}${given.holdSpread ? ", held" : ""}`, spread);
    put(span, { x1: column(mean - spread), x2: column(mean + spread), opacity: given.holdSpread ? 0.9 : 0.3 });
    put(mirror, { x: column(mean - spread) - 2, opacity: given.holdSpread ? 1 : 0.4 });
    railName.textContent = `mean ${digits(mean, 2)}, spread ${digits(spread, 2)}`;

    const entropyNow = ladder.at(-1)[1];
    said.textContent = `${digits(entropyNow)} nats: as uncertain as ${Math.exp(entropyNow).toFixed(2)} equal faces`;
    numbers.replaceChildren();
    const line = (name, value) => { box(numbers, "dt", "", name); box(numbers, "dd", "", value); };
    ladder.forEach(([words, value], i) => line(words, i ? signed(value - ladder[i - 1][1]) : digits(value)));
    multipliers.forEach((each, a) => line(["multiplier of x, λ₁", "multiplier of x², λ₂"][a], signed(each)));
    pressed.mean.setAttribute("aria-pressed", given.holdMean);
    pressed.spread.setAttribute("aria-pressed", given.holdSpread);
  }

  const pressed = {
    mean: preset(presets, "hold the mean", () => (state().holdMean
      ? change({ holdMean: false, holdSpread: false }) : seek({ holdMean: true, mean: hundredth(current().mean) }))),
    spread: preset(presets, "hold the spread", () => (state().holdSpread
      ? change({ holdSpread: false }) : hold(hundredth(current().spread)))),
  };
  const all = FACES.map(() => FREE);
  preset(presets, "free the bars", () => seek({ pins: all }));
  preset(presets, "a die with mean 4.5", () => change({ mean: 4.5, holdMean: true, holdSpread: false, pins: all }));
  preset(presets, "know nothing", () => change({ holdMean: false, holdSpread: false, pins: all }));
  const change = follow(model, paint);
}

export default { render, fault, measures };
