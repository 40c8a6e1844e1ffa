// Two solitons that meet, by their exact formula: time runs upwards, the darker the higher the wave.
// Letters as in the chapter "Solitons, breathers and the entropy of a wave field"; entropies in nats.
const REACH = 12, TIME = 6; // the picture shows |x| <= REACH, |t| <= TIME
const CELLS = 192, ROWS = 97; // what is computed: columns over x, rows over t
const FIELD = { left: 34, top: 12, width: 250, height: 300 }, STRIP = { left: 312, width: 112 };
const SPEEDS = [0.05, 1.6], HEIGHTS = [0.4, 1.6]; // of a soliton, of the second one's amplitude
const FLOOR = 1 + Math.log(Math.PI);
const STEP = (2 * REACH) / CELLS;
const PLACES = Array.from({ length: CELLS }, (_, j) => -REACH + j * STEP);

// psi at x, t as [real, imaginary]: the equations sum_k (1/g_j + g_k*)/(l_j + l_k*) u_k = 1, solved for two.
// Both sides are divided by what is large in g, as exp(-grown), so that nothing overflows.
function field({ speed, phase, amplitude }, x, t) {
  const rows = [[1, speed, phase], [amplitude, -speed, 0]].map(([a, v, turn]) => {
    const size = a * x - a * v * t, angle = v * x + 0.5 * (a * a - v * v) * t + turn;
    const up = Math.exp(Math.min(size, 0)), down = Math.exp(-Math.max(size, 0));
    return { a, v, down, re: up * Math.cos(angle), im: up * Math.sin(angle), square: up * up };
  });
  const [one, two] = rows;
  const first = (one.down * one.down + one.square) / (2 * one.a); // the two real entries of the matrix
  const last = (two.down * two.down + two.square) / (2 * two.a);
  // the entry off the diagonal, and its conjugate below: (down down + up_1 up_2*)/(l_1 + l_2*)
  const top = [one.down * two.down + one.re * two.re + one.im * two.im, one.im * two.re - one.re * two.im];
  const [p, q] = [one.a + two.a, one.v - two.v], norm = p * p + q * q;
  const off = [(top[0] * p + top[1] * q) / norm, (top[1] * p - top[0] * q) / norm];
  const det = first * last - off[0] * off[0] - off[1] * off[1];
  const w1 = [last * one.re - (off[0] * two.re - off[1] * two.im), last * one.im - (off[0] * two.im + off[1] * two.re)];
  const w2 = [first * two.re - (off[0] * one.re + off[1] * one.im), first * two.im - (off[0] * one.im - off[1] * one.re)];
  return [0, 1].map((part) => (w1[part] * one.down + w2[part] * two.down) / det);
}

// By how much the first and the second are ahead after they have passed.
function shifts({ speed, amplitude }) {
  const square = 4 * speed * speed;
  const ratio = Math.log(((1 + amplitude) ** 2 + square) / ((1 - amplitude) ** 2 + square));
  return [ratio, ratio / amplitude];
}

// Waves of the grid: cosines once, since entry m j of the transform needs angle 2 pi m j / CELLS.
const COSINES = Array.from({ length: CELLS }, (_, j) => Math.cos((2 * Math.PI * j) / CELLS));
const SINES = Array.from({ length: CELLS }, (_, j) => Math.sin((2 * Math.PI * j) / CELLS));

function entropies(re, im) {
  const inside = Array.from(re, (each, j) => each * each + im[j] * im[j]);
  const waves = new Float64Array(CELLS);
  for (let m = 0; m < CELLS; m += 1) {
    let [a, b, angle] = [0, 0, 0];
    for (let j = 0; j < CELLS; j += 1) {
      a += re[j] * COSINES[angle] + im[j] * SINES[angle];
      b += im[j] * COSINES[angle] - re[j] * SINES[angle];
      angle = (angle + m) % CELLS;
    }
    waves[m] = a * a + b * b;
  }
  return [cellEntropy(inside) + Math.log(STEP), cellEntropy(waves) + Math.log(Math.PI / REACH)]; // of densities
}

function column(state, t) {
  const [re, im] = [new Float64Array(CELLS), new Float64Array(CELLS)];
  PLACES.forEach((x, j) => { [re[j], im[j]] = field(state, x, t); });
  return { re, im };
}

function measures(state) {
  const middle = column(state, 0), early = column(state, -TIME);
  const [hx, hk] = entropies(middle.re, middle.im), [before] = entropies(early.re, early.im);
  return { peak: Math.hypot(...field(state, 0, 0)), shifts: shifts(state), hx, hk, before };
}

function fault({ speed, phase, amplitude }) {
  if (!(speed >= SPEEDS[0] && speed <= SPEEDS[1])) return `has a speed outside ${SPEEDS[0]} to ${SPEEDS[1]}`;
  if (!(Math.abs(phase) <= 3.15)) return "has a phase outside \u2212\u03c0 to \u03c0";
  return amplitude >= HEIGHTS[0] && amplitude <= HEIGHTS[1] ? "" : `has an amplitude outside ${HEIGHTS[0]} to ${HEIGHTS[1]}`;
}

function render({ model, el }) {
  const root = box(el, "div", "stage stage-waves");
  const frame = box(root, "div", "stage-frame-box");
  const canvas = box(frame, "canvas", "stage-raster");
  put(canvas, { width: CELLS, height: ROWS, "aria-hidden": "true" });
  const map = drawing(frame, 430, 352, "Position to the right, time upwards: two solitons meet in the middle; beside it their entropies");
  const across = (x) => FIELD.left + ((x + REACH) / (2 * REACH)) * FIELD.width;
  const upward = (t) => FIELD.top + (1 - (t + TIME) / (2 * TIME)) * FIELD.height;
  const shade = canvas.getContext("2d"), image = shade.createImageData(CELLS, ROWS);

  node(map, "rect", { x: FIELD.left, y: FIELD.top, width: FIELD.width, height: FIELD.height, class: "stage-frame" });
  const small = (x, y, words, anchor = "middle") => node(map, "text", { x, y, "text-anchor": anchor, class: "stage-small" }, words);
  for (const x of [-10, 0, 10]) small(across(x), 328, digits(x, 0));
  for (const t of [-6, -3, 0, 3, 6]) small(FIELD.left - 5, upward(t) + 4, digits(t, 0), "end");
  small(across(0), 346, "position x");
  small(10, upward(0) - 40, "time").setAttribute("transform", `rotate(-90 10 ${upward(0) - 40})`);
  const free = [COLOURS.purple, COLOURS.purple].map((stroke) => node(map, "line", {
    stroke, "stroke-width": 1.6, "stroke-dasharray": "2 5" }));

  const [LOW, HIGH] = [0, 4], over = (h) => STRIP.left + ((h - LOW) / (HIGH - LOW)) * STRIP.width;
  node(map, "rect", { x: STRIP.left, y: FIELD.top, width: STRIP.width, height: FIELD.height, class: "stage-frame" });
  node(map, "line", { x1: over(FLOOR), x2: over(FLOOR), y1: FIELD.top, y2: FIELD.top + FIELD.height, stroke: COLOURS.red, "stroke-width": 1.5, "stroke-dasharray": "5 4" });
  for (const h of [0, 1, 2, 3, 4]) small(over(h), 328, digits(h, 0));
  const lines = [COLOURS.blue, COLOURS.orange].map((stroke) => node(map, "path", { class: "stage-curve", stroke }));
  const legend = small(over(2), 346, "");
  for (const [words, fill] of [["h\u2093", COLOURS.blue], ["h\u2093 + h\u2096", COLOURS.orange]]) {
    node(legend, "tspan", { style: `fill: ${fill}; font-weight: 600` }, words);
    if (fill === COLOURS.blue) node(legend, "tspan", {}, ", ");
  }

  const side = box(root, "div", "stage-side");
  const dial = drawing(side, 240, 150, "Phase of the first soliton and amplitude of the second");
  const [cx, cy, radius] = [66, 66, 44];
  node(dial, "circle", { cx, cy, r: radius, class: "stage-frame" });
  node(dial, "line", { x1: cx, x2: cx + radius, y1: cy, y2: cy, class: "stage-grid" });
  const hand = node(dial, "line", { x1: cx, y1: cy, stroke: COLOURS.orange, "stroke-width": 3 });
  node(dial, "text", { x: cx, y: 140, "text-anchor": "middle" }, "phase \u03c6");
  const [rail, zero, unit] = [186, 118, 62];
  node(dial, "line", { x1: rail, x2: rail, y1: zero - HEIGHTS[1] * unit, y2: zero, class: "stage-grid" });
  const bar = node(dial, "line", { x1: rail, x2: rail, y1: zero, stroke: COLOURS.purple, "stroke-width": 10, opacity: 0.45 });
  node(dial, "text", { x: rail, y: 140, "text-anchor": "middle" }, "amplitude B");

  const said = box(side, "p", "stage-verdict");
  const numbers = box(side, "dl", "stage-numbers");
  const number = (name) => { box(numbers, "dt", "", name); return box(numbers, "dd"); };
  const shown = { speed: number("speeds \u00b1v"), peak: number("|\u03c8| at the meeting"), shifts: number("ahead by, after it"),
    hx: number("h\u2093 at it, before"), sum: number("h\u2093 + h\u2096, floor") };
  const presets = box(root, "div", "stage-presets");

  const state = () => model.get("state");
  const hundredth = (value) => Math.round(value * 100) / 100;
  const speedOf = (value) => ({ speed: hundredth(within(value, ...SPEEDS)) });
  const turned = (value) => ({ phase: hundredth(Math.atan2(Math.sin(value), Math.cos(value))) });
  const heightOf = (value) => ({ amplitude: hundredth(within(value, ...HEIGHTS)) });
  const knobs = {
    speed: handle(map, { label: "speed", colour: COLOURS.blue, low: SPEEDS[0], high: SPEEDS[1],
      place: ([x]) => change(speedOf((((x - FIELD.left) / FIELD.width) * 2 * REACH - REACH) / TIME)),
      nudge: ([right, up]) => change(speedOf(state().speed + 0.05 * (right + up))) }),
    phase: handle(dial, { label: "phase", colour: COLOURS.orange, low: -3.15, high: 3.15,
      place: ([x, y]) => change(turned(Math.atan2(cy - y, x - cx))),
      nudge: ([right, up]) => change(turned(state().phase + 0.1 * (up - right))) }),
    amplitude: handle(dial, { label: "amplitude of the second", shape: "bar", colour: COLOURS.purple, low: HEIGHTS[0], high: HEIGHTS[1],
      place: ([, y]) => change(heightOf((zero - y) / unit)),
      nudge: ([right, up]) => change(heightOf(state().amplitude + 0.05 * (right + up))) }),
  };

  function paint(now) {
    const found = { hx: [], sum: [] };
    for (let i = 0; i < ROWS; i += 1) {
      const t = TIME - (2 * TIME * i) / (ROWS - 1), { re, im } = column(now, t);
      for (let j = 0; j < CELLS; j += 1) {
        const power = Math.min(1, (re[j] * re[j] + im[j] * im[j]) / 4), at = 4 * (i * CELLS + j);
        image.data.set(tint(power, 0.42), at);
      }
      const [hx, hk] = entropies(re, im);
      const height = (FIELD.top + (FIELD.height * i) / (ROWS - 1)).toFixed(1);
      found.hx.push(`${over(hx).toFixed(1)} ${height}`);
      found.sum.push(`${over(hx + hk).toFixed(1)} ${height}`);
    }
    shade.putImageData(image, 0, 0);
    put(lines[0], { d: `M${found.hx.join("L")}` });
    put(lines[1], { d: `M${found.sum.join("L")}` });
    const got = measures(now);
    free.forEach((line, i) => { // the course from the first meeting on, had there been none
      const way = (t) => (i ? -1 : 1) * (now.speed * t - got.shifts[i] / 2);
      const last = Math.min(TIME, (REACH + got.shifts[i] / 2) / now.speed), first = Math.max(-TIME, (got.shifts[i] / 2 - REACH) / now.speed);
      put(line, { x1: across(way(first)), x2: across(way(last)), y1: upward(first), y2: upward(last) });
    });
    knobs.speed.move(across(now.speed * TIME), FIELD.top);
    knobs.speed.say(`${now.speed.toFixed(2)} and ${(-now.speed).toFixed(2)}`, now.speed);
    const [hx, hy] = [cx + radius * Math.cos(now.phase), cy - radius * Math.sin(now.phase)];
    put(hand, { x2: hx, y2: hy });
    knobs.phase.move(hx, hy);
    knobs.phase.say(`${now.phase.toFixed(2)} radians`, now.phase);
    put(bar, { y2: zero - unit * now.amplitude });
    knobs.amplitude.move(rail, zero - unit * now.amplitude);
    knobs.amplitude.say(now.amplitude.toFixed(2), now.amplitude);
    const sum = got.hx + got.hk, together = got.peak > 0.9 * (1 + now.amplitude), apart = got.peak < 0.5 * (1 + now.amplitude);
    said.textContent = together ? "In step: they pile up." : apart ? "Out of step: they turn each other away, or seem to." : "In between: one hands over to the other.";
    shown.speed.textContent = digits(now.speed, 2);
    shown.peak.textContent = digits(got.peak, 2);
    shown.shifts.textContent = got.shifts.map((each) => digits(each, 2)).join(", ");
    shown.hx.textContent = `${digits(got.hx, 2)}, ${digits(got.before, 2)}`;
    shown.sum.textContent = `${digits(sum, 2)}, ${digits(FLOOR, 2)}`;
  }
  const change = follow(model, paint);

  preset(presets, "in step", () => change({ phase: 0 }));
  preset(presets, "out of step", () => change({ phase: 3.14 }));
  preset(presets, "slow", () => change({ speed: 0.15 }));
  preset(presets, "fast", () => change({ speed: 1.5 }));
  preset(presets, "equal", () => change({ amplitude: 1 }));
}

export default { render, fault, measures };
