// A plane wave on a ring, with ripples that a hand seeds: solved anew at each move, time runs upwards.
// Letters as in the chapter "Solitons, breathers and the entropy of a wave field"; entropies in nats.
const LENGTHS = [3, 16], TALLEST = 0.2, UNTIL = 18, FRAMES = 121;
const FIELD = { left: 34, top: 34, width: 250, height: 278 }, STRIP = { left: 312, width: 112, most: 3 };

// Points so that the largest wavenumber is about 24, and a step below the resonance of splitting, 2 pi / k_max^2.
function gridOf(length) {
  const points = 2 ** Math.round(Math.log2((24 * length) / Math.PI));
  const top = (Math.PI * points) / length;
  const steps = Math.ceil((UNTIL * top * top) / 5 / (FRAMES - 1));
  return { points, steps, dt: UNTIL / (FRAMES - 1) / steps };
}

// The fast Fourier transform of [re, im] in place; sign -1 there, +1 back (without the 1/N).
const COSINES = Array.from({ length: 128 }, (_, i) => Math.cos((Math.PI * i) / 128));
const SINES = Array.from({ length: 128 }, (_, i) => Math.sin((Math.PI * i) / 128));

function transform(re, im, sign) {
  const n = re.length;
  for (let i = 1, j = 0; i < n; i += 1) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) { [re[i], re[j]] = [re[j], re[i]]; [im[i], im[j]] = [im[j], im[i]]; }
  }
  for (let half = 1; half < n; half *= 2) {
    for (let k = 0; k < half; k += 1) {
      const c = COSINES[(128 * k) / half], s = sign * SINES[(128 * k) / half];
      for (let i = k; i < n; i += 2 * half) {
        const j = i + half, a = re[j] * c - im[j] * s, b = re[j] * s + im[j] * c;
        re[j] = re[i] - a; im[j] = im[i] - b;
        re[i] += a; im[i] += b;
      }
    }
  }
}

// |psi|^2 at FRAMES times, and the entropies of cells of position and of wavenumber at each.
function solve({ heights, length }) {
  const { points, steps, dt } = gridOf(length);
  const wave = (j) => 1 + heights.reduce((sum, each, n) => sum + each * Math.cos((2 * Math.PI * (n + 1) * j) / points), 0);
  const re = Float64Array.from({ length: points }, (_, j) => wave(j)), im = new Float64Array(points);
  // Yoshida's three Strang steps: dispersion by halves, neighbouring halves in one, the phase |psi|^2 dt between.
  const w = 1 / (2 - 2 ** (1 / 3)), weights = [w, 1 - 2 * w, w];
  const turns = [w / 2, (1 - w) / 2, (1 - w) / 2, w].map((share) => Array.from({ length: points }, (_, m) => {
    const k = (2 * Math.PI * (m < points / 2 ? m : m - points)) / length, angle = -0.5 * k * k * share * dt;
    return [Math.cos(angle) / points, Math.sin(angle) / points];
  }));
  const disperse = (turn) => {
    transform(re, im, -1);
    for (let m = 0; m < points; m += 1) {
      const [c, s] = turn[m];
      [re[m], im[m]] = [re[m] * c - im[m] * s, re[m] * s + im[m] * c];
    }
    transform(re, im, 1);
  };
  const focus = (span) => {
    for (let j = 0; j < points; j += 1) {
      const angle = (re[j] * re[j] + im[j] * im[j]) * span, c = Math.cos(angle), s = Math.sin(angle);
      [re[j], im[j]] = [re[j] * c - im[j] * s, re[j] * s + im[j] * c];
    }
  };
  const film = [], found = { position: [], wavenumber: [] };
  for (let frame = 0; frame < FRAMES; frame += 1) {
    for (let step = 0; step < (frame ? steps : 0); step += 1) {
      weights.forEach((weight, i) => { disperse(turns[i || !step ? i : 3]); focus(weight * dt); });
    }
    if (frame) disperse(turns[0]);
    const power = () => Float64Array.from(re, (each, j) => each * each + im[j] * im[j]);
    film.push(power());
    found.position.push(cellEntropy(film[frame]));
    const kept = [re.slice(), im.slice()];
    transform(re, im, -1);
    found.wavenumber.push(cellEntropy(power()));
    re.set(kept[0]);
    im.set(kept[1]);
  }
  return { film, ...found, points };
}

// How fast the ripple that fits n times grows; 0 where it only oscillates.
function growth(n, length) {
  const q = (2 * Math.PI * n) / length;
  return q < 2 ? (q / 2) * Math.sqrt(4 - q * q) : 0;
}

// What position has lost and wavenumber has gained against a plane wave, at each time.
function measures(state) {
  const run = solve(state);
  return {
    lost: run.position.map((each) => Math.log(run.points) - each), gained: run.wavenumber,
    rates: state.heights.map((_, n) => growth(n + 1, state.length)),
    peak: Math.sqrt(Math.max(...run.film.map((row) => Math.max(...row)))),
  };
}

function fault({ heights, length }) {
  if (!(length >= LENGTHS[0] && length <= LENGTHS[1])) return `has a ring outside ${LENGTHS[0]} to ${LENGTHS[1]}`;
  return heights.some((each) => !(Math.abs(each) <= TALLEST)) ? `has a ripple higher than ${TALLEST}` : "";
}

function render({ model, el }) {
  const root = box(el, "div", "stage stage-waves");
  const frame = box(root, "div", "stage-frame-box");
  const canvas = box(frame, "canvas", "stage-raster stage-raster-low");
  canvas.setAttribute("aria-hidden", "true");
  const map = drawing(frame, 430, 352, "Position on the ring to the right, time upwards; beside it what the entropies lose and gain");
  const upward = (t) => FIELD.top + (1 - t / UNTIL) * FIELD.height;
  const small = (x, y, words, anchor = "middle") => node(map, "text", { x, y, "text-anchor": anchor, class: "stage-small" }, words);
  node(map, "rect", { x: FIELD.left, y: FIELD.top, width: FIELD.width, height: FIELD.height, class: "stage-frame" });
  for (const t of [0, 6, 12, 18]) small(FIELD.left - 5, upward(t) + 4, digits(t, 0), "end");
  const span = small(FIELD.left + FIELD.width / 2, 346, "");
  const ends = [[FIELD.left, "start"], [FIELD.left + FIELD.width, "end"]].map(([x, anchor]) => small(x, 328, "", anchor));
  small(10, upward(9), "time").setAttribute("transform", `rotate(-90 10 ${upward(9)})`);
  const along = (length) => FIELD.left + ((length - LENGTHS[0]) / (LENGTHS[1] - LENGTHS[0])) * FIELD.width;
  node(map, "line", { x1: along(LENGTHS[0]), x2: along(LENGTHS[1]), y1: 14, y2: 14, class: "stage-grid" });

  const over = (h) => STRIP.left + (within(h, 0, STRIP.most) / STRIP.most) * STRIP.width;
  node(map, "rect", { x: STRIP.left, y: FIELD.top, width: STRIP.width, height: FIELD.height, class: "stage-frame" });
  for (const h of [0, 1, 2, 3]) small(over(h), 328, digits(h, 0));
  small(over(1.5), 346, "nats");
  const lines = [COLOURS.blue, COLOURS.orange].map((stroke) => node(map, "path", { class: "stage-curve", stroke }));
  const shade = canvas.getContext("2d");

  const side = box(root, "div", "stage-side");
  const bars = drawing(side, 240, 150, "Ripples at the start: how high each is");
  const [middle, unit, at] = [68, 220, (n) => 46 + 56 * n];
  node(bars, "line", { x1: 20, x2: 234, y1: middle, y2: middle, class: "stage-grid" });
  node(bars, "text", { x: 0, y: 12, class: "stage-small" }, "height, and growth rate");
  const sticks = [0, 1, 2, 3].map((n) => node(bars, "line", { x1: at(n), x2: at(n), y1: middle, "stroke-width": 10, opacity: 0.45 }));
  const tags = [0, 1, 2, 3].map((n) => node(bars, "text", { x: at(n), y: 132, "text-anchor": "middle" }));
  const fates = [0, 1, 2, 3].map((n) => node(bars, "text", { x: at(n), y: 147, "text-anchor": "middle", class: "stage-small" }));
  const said = box(side, "p", "stage-verdict");
  const numbers = box(side, "dl", "stage-numbers");
  const number = (name, colour) => {
    const made = box(numbers, "dt", "", name);
    if (colour) made.style.boxShadow = `inset 0 -2px ${colour}`;
    return box(numbers, "dd");
  };
  const shown = { ring: number("length of the ring"), peak: number("highest |\u03c8|"), lost: number("position loses", COLOURS.blue), gained: number("wavenumber gains", COLOURS.orange) };
  const presets = box(root, "div", "stage-presets");

  const state = () => model.get("state");
  const lengthOf = (value) => ({ length: Math.round(within(value, ...LENGTHS) * 20) / 20 });
  const raised = (n, value) => ({ heights: state().heights.map(
    (each, i) => (i === n ? Math.round(within(value, -TALLEST, TALLEST) * 200) / 200 : each)) });
  const ring = handle(map, { label: "length of the ring", shape: "post", colour: COLOURS.blue, low: LENGTHS[0], high: LENGTHS[1],
    place: ([x]) => change(lengthOf(LENGTHS[0] + ((x - FIELD.left) / FIELD.width) * (LENGTHS[1] - LENGTHS[0]))),
    nudge: ([right, up]) => change(lengthOf(state().length + 0.2 * (right + up))) });
  const knobs = [0, 1, 2, 3].map((n) => handle(bars, { label: `ripple ${n + 1}`, shape: "bar", colour: COLOURS.purple, low: -TALLEST, high: TALLEST,
    place: ([, y]) => change(raised(n, (middle - y) / unit)),
    nudge: ([right, up]) => change(raised(n, state().heights[n] + 0.01 * (right + up))) }));

  function paint(now) {
    const run = solve(now), got = { lost: run.position.map((each) => Math.log(run.points) - each), gained: run.wavenumber };
    put(canvas, { width: run.points, height: FRAMES });
    const image = shade.createImageData(run.points, FRAMES);
    run.film.forEach((row, i) => row.forEach((each, j) => {
      image.data.set(tint(Math.min(1, each / 6), 0.6),
        4 * ((FRAMES - 1 - i) * run.points + ((j + run.points / 2) % run.points)));
    }));
    shade.putImageData(image, 0, 0);
    [got.lost, got.gained].forEach((line, i) => put(lines[i], {
      d: `M${line.map((each, frame) => `${over(each).toFixed(1)} ${upward((UNTIL * frame) / (FRAMES - 1)).toFixed(1)}`).join("L")}` }));
    span.textContent = "position on the ring";
    ends.forEach((end, i) => { end.textContent = digits(((i ? 1 : -1) * now.length) / 2, 1); });
    ring.move(along(now.length), 14);
    ring.say(`${now.length.toFixed(2)}; ${now.heights.filter((_, n) => growth(n + 1, now.length)).length} of 4 ripples grow`, now.length);
    now.heights.forEach((each, n) => {
      const rate = growth(n + 1, now.length), colour = rate ? COLOURS.orange : COLOURS.purple;
      put(sticks[n], { y2: middle - unit * each, stroke: colour });
      knobs[n].move(at(n), middle - unit * each);
      knobs[n].say(`${each.toFixed(3)}; ${rate ? `grows at the rate ${rate.toFixed(2)}` : "does not grow"}`, each);
      tags[n].textContent = `${n + 1} \u00d7`;
      fates[n].textContent = rate ? digits(rate, 2) : "stable";
    });
    const seeded = now.heights.filter((each) => each).length, grows = now.heights.some((each, n) => each && growth(n + 1, now.length));
    const peak = Math.sqrt(Math.max(...run.film.map((row) => Math.max(...row))));
    said.textContent = !seeded ? "An even wave stays even." : grows ? "It breaks up." : peak < 1.5 ? "A stable ripple: it only swings." : "Sums of the ripples grow.";
    shown.ring.textContent = digits(now.length, 2);
    shown.peak.textContent = digits(peak, 2);
    shown.lost.textContent = `${digits(Math.max(...got.lost), 2)} nats`;
    shown.gained.textContent = `${digits(Math.max(...got.gained), 2)} nats`;
  }
  const change = follow(model, paint);

  const only = (n, length) => () => change({ heights: [0, 1, 2, 3].map((i) => (i === n ? 0.05 : 0)), length });
  preset(presets, "one ripple", only(0, 5));
  preset(presets, "too short a ring", only(0, 3));
  preset(presets, "twice around", only(1, 10));
  preset(presets, "a mixture", () => change({ heights: [0.05, 0.02, -0.03, 0], length: 13 }));
  preset(presets, "even", () => change({ heights: [0, 0, 0, 0] }));
}

export default { render, fault, measures };
