// The probability simplex of three actions: a policy, a reference, and where an update takes it.
// Letters as in the chapter "Why entropy falls"; everything in nats.
const TOP = [215, 34], SIDE = 360, HEIGHT = SIDE * Math.sqrt(3) / 2;
const CORNERS = [[TOP[0] - SIDE / 2, TOP[1] + HEIGHT], [TOP[0] + SIDE / 2, TOP[1] + HEIGHT], TOP];
const LEAST = 0.006; // a handle stays this far from the edge, where log p is finite
const REACH = 2; // an update moves a logit by at most this much
const ACTIONS = [0, 1, 2];

const sum = (values) => values.reduce((total, each) => total + each, 0);
const mean = (p, values) => sum(ACTIONS.map((k) => p[k] * values[k]));
const entropy = (p) => -sum(p.map((each) => (each > 0 ? each * Math.log(each) : 0)));
const divergence = (p, q) => sum(ACTIONS.map((k) => p[k] * Math.log(p[k] / q[k])));

// The policy after a step eta along z: p e^{eta z} / Z.
function stepped(p, z, eta) {
  const top = Math.max(...z);
  const weights = ACTIONS.map((k) => p[k] * Math.exp(eta * (z[k] - top)));
  const total = sum(weights);
  return weights.map((each) => each / total);
}

function measures({ p, q, z }) {
  const logs = p.map(Math.log);
  const covariance = mean(p, ACTIONS.map((k) => logs[k] * z[k])) - mean(p, logs) * mean(p, z);
  const after = stepped(p, z, 1);
  return {
    entropy: entropy(p), covariance, change: entropy(after) - entropy(p), after,
    forward: divergence(p, q), backward: divergence(q, p),
  };
}

function fault({ p, q, z }) {
  for (const pmf of [p, q]) {
    if (Math.abs(sum(pmf) - 1) > 0.0015) return "does not sum to 1";
    if (pmf.some((each) => each < 0.005)) return "has a share below 0.005";
  }
  return z.some((each) => Math.abs(each) > REACH) ? `moves a logit by more than ${REACH}` : "";
}

const onPage = (p) => [0, 1].map((axis) => sum(ACTIONS.map((k) => p[k] * CORNERS[k][axis])));

// The pmf under a point of the page, kept inside the triangle, to three decimals that sum to 1.
function underPoint([x, y]) {
  const third = (CORNERS[0][1] - y) / HEIGHT;
  const second = (x - CORNERS[0][0]) / SIDE - third / 2;
  return tidy([1 - second - third, second, third]);
}

function tidy(shares) {
  let kept = shares.map((each) => Math.max(each, LEAST));
  // What the floor added is taken from the others, in proportion to what they have above it.
  const spare = kept.map((each) => each - LEAST), room = sum(spare);
  kept = kept.map((each, k) => each - (sum(kept) - 1) * (room ? spare[k] / room : 1 / 3));
  const first = kept.slice(0, 2).map((each) => Math.round(each * 1000) / 1000);
  return [...first, Math.round((1 - sum(first)) * 1000) / 1000];
}

// The line of equal entropy, as the distance from the centre along rays; H falls along each ray.
const CENTRE = [1 / 3, 1 / 3, 1 / 3];
const RAYS = Array.from({ length: 181 }, (_, i) => {
  const angle = (2 * Math.PI * i) / 180;
  const step = underPointRaw([Math.cos(angle), Math.sin(angle)]);
  const edge = Math.min(...step.map((each) => (each < 0 ? -1 / 3 / each : Infinity)));
  return { step, edge };
});
function underPointRaw([dx, dy]) { // a direction on the page as a direction of pmfs
  const third = -dy / HEIGHT, second = dx / SIDE - third / 2;
  return [-second - third, second, third];
}
const along = ({ step }, distance) => CENTRE.map((each, k) => Math.max(0, each + distance * step[k]));

function contour(level) {
  return RAYS.map((ray) => {
    if (entropy(along(ray, ray.edge)) >= level) return { point: onPage(along(ray, ray.edge)), edge: true };
    let [low, high] = [0, ray.edge];
    for (let i = 0; i < 24; i += 1) {
      const middle = (low + high) / 2;
      if (entropy(along(ray, middle)) > level) low = middle;
      else high = middle;
    }
    return { point: onPage(along(ray, low)), edge: false };
  });
}

const spot = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;
const filled = (line) => `M${line.map(({ point }) => spot(point)).join("L")}Z`;
const open = (line) => line.map(({ point, edge }, i) => (
  `${edge || i === 0 || line[i - 1].edge ? "M" : "L"}${spot(point)}`)).join("");

function render({ model, el }) {
  const root = box(el, "div", "stage stage-simplex");
  const map = drawing(root, 430, 392, "The triangle of all policies on three actions");
  for (const level of [0.2, 0.4, 0.6, 0.8, 0.95, 1.05]) {
    node(map, "path", { d: filled(contour(level)), fill: COLOURS.blue, opacity: 0.09 });
  }
  node(map, "path", { d: `M${CORNERS.map(spot).join("L")}Z`, class: "stage-frame" });
  const names = [[-14, 22], [14, 22], [0, -14]];
  for (const k of ACTIONS) {
    const [x, y] = CORNERS[k];
    node(map, "text", { x: x + names[k][0], y: y + names[k][1], "text-anchor": "middle" }, `action ${k + 1}`);
  }
  const equal = node(map, "path", { class: "stage-contour" });
  const tie = node(map, "line", { stroke: COLOURS.purple, "stroke-width": 1.5, "stroke-dasharray": "2 4" });
  const future = node(map, "path", { class: "stage-future" });
  const arrow = node(map, "path", { class: "stage-arrow" });
  const tip = node(map, "path", { d: "M-13-7 2 0-13 7Z" });
  const tag = (colour, text) => node(map, "text", { fill: colour, class: "stage-tag", "aria-hidden": "true" }, text);
  const [nameP, nameQ] = [tag(COLOURS.blue, "π"), tag(COLOURS.purple, "q")];

  const side = box(root, "div", "stage-side");
  const bars = drawing(side, 240, 218, "The update: how far each logit moves");
  const middle = 96, scale = 36, column = (k) => 56 + 66 * k;
  node(bars, "text", { x: 0, y: 14 }, "change of each logit, Δz");
  for (const level of [-REACH, 0, REACH]) {
    node(bars, "line", { x1: 26, x2: 228, y1: middle - scale * level, y2: middle - scale * level, class: "stage-grid" });
    node(bars, "text", { x: 20, y: middle - scale * level + 4, "text-anchor": "end", class: "stage-small" }, digits(level, 0));
  }
  const moves = ACTIONS.map((k) => node(bars, "line", { x1: column(k), x2: column(k), y1: middle, "stroke-width": 10 }));
  const shares = ACTIONS.map((k) => node(bars, "text", { x: column(k), y: 196, "text-anchor": "middle" }));
  ACTIONS.forEach((k) => node(bars, "text", { x: column(k), y: 212, "text-anchor": "middle", class: "stage-small" }, `action ${k + 1}`));

  const said = box(side, "p", "stage-verdict");
  const numbers = box(side, "dl", "stage-numbers");
  const number = (name) => { box(numbers, "dt", "", name); return box(numbers, "dd"); };
  const shown = {
    entropy: number("H(π)"), covariance: number("Cov(log π, Δz)"), change: number("ΔH of the step"),
    forward: number("D(π‖q)"), backward: number("D(q‖π)"),
  };
  const presets = box(root, "div", "stage-presets");

  const state = () => model.get("state");
  const hands = {};
  for (const [key, name, shape, colour] of [["q", "reference q", "diamond", COLOURS.purple], ["p", "policy π", "circle", COLOURS.blue]]) {
    hands[key] = handle(map, {
      label: name, shape, colour, kind: "point in a triangle",
      place: (point) => change({ [key]: underPoint(point) }),
      nudge: ([right, up]) => {
        const [x, y] = onPage(state()[key]);
        change({ [key]: underPoint([x + 4 * right, y - 4 * up]) });
      },
    });
  }
  const pulled = (k, value) => state().z.map(
    (each, i) => (i === k ? Math.round(within(value, -REACH, REACH) * 20) / 20 : each));
  const knobs = ACTIONS.map((k) => handle(bars, {
    label: `change of logit ${k + 1}`, shape: "bar", colour: COLOURS.orange, low: -REACH, high: REACH,
    place: ([, y]) => change({ z: pulled(k, (middle - y) / scale) }),
    nudge: ([right, up]) => change({ z: pulled(k, state().z[k] + 0.05 * (right + up)) }),
  }));
  // A tap in the triangle brings the policy there: the same without dragging.
  map.addEventListener("click", (event) => change({ p: underPoint(under(map, event)) }));

  function paint({ p, q, z }) {
    const found = measures({ p, q, z });
    const flat = Math.abs(found.covariance) < 5e-4;
    const colour = flat ? "currentColor" : found.covariance > 0 ? COLOURS.red : COLOURS.green;
    const [here, there] = [onPage(p), onPage(q)];
    put(equal, { d: open(contour(found.entropy)) });
    put(tie, { x1: here[0], y1: here[1], x2: there[0], y2: there[1] });
    const path = (from, to) => `M${Array.from({ length: 33 }, (_, i) => (
      spot(onPage(stepped(p, z, from + ((to - from) * i) / 32))))).join("L")}`;
    const still = z.every((each) => each === z[0]);
    put(arrow, { d: path(0, 1), stroke: colour, visibility: still ? "hidden" : "visible" });
    put(future, { d: path(1, 12), stroke: colour, visibility: still ? "hidden" : "visible" });
    const [end, before] = [onPage(found.after), onPage(stepped(p, z, 0.97))];
    const angle = (Math.atan2(end[1] - before[1], end[0] - before[0]) * 180) / Math.PI;
    put(tip, { transform: `translate(${spot(end)}) rotate(${angle.toFixed(1)})`, fill: colour,
      visibility: still || Math.hypot(end[0] - here[0], end[1] - here[1]) < 12 ? "hidden" : "visible" });
    hands.p.move(...here);
    hands.q.move(...there);
    const left = here[0] <= there[0] ? -1 : 1;
    put(nameP, { x: here[0] + 19 * left, y: here[1] + 5 });
    put(nameQ, { x: there[0] - 19 * left, y: there[1] + 5 });
    const spoken = (pmf) => pmf.map((each, k) => `action ${k + 1}: ${each.toFixed(3)}`).join(", ");
    hands.p.say(`${spoken(p)}; entropy ${found.entropy.toFixed(3)} nats`, p[2]);
    hands.q.say(`${spoken(q)}; divergence ${found.forward.toFixed(3)} nats`, q[2]);
    for (const k of ACTIONS) {
      const y = middle - scale * z[k];
      put(moves[k], { y2: y, stroke: COLOURS.orange, opacity: 0.45 });
      knobs[k].move(column(k), y);
      knobs[k].say(z[k].toFixed(2), z[k]);
      shares[k].textContent = `π = ${p[k].toFixed(2)}`;
    }
    said.textContent = still ? "Nothing moves: only differences of logits count."
      : flat ? "At first order, entropy stays."
      : (found.covariance > 0 ? "The likely gain: entropy starts to fall." : "The rare gain: entropy starts to rise.")
        + (found.covariance * found.change > 0 ? " The whole step undoes it." : "");
    said.style.color = flat ? "" : found.covariance > 0 ? WORDS.bad : WORDS.good;
    shown.entropy.textContent = `${digits(found.entropy)} nats`;
    for (const key of ["covariance", "change"]) shown[key].textContent = signed(found[key]);
    for (const key of ["forward", "backward"]) shown[key].textContent = digits(found[key]);
  }
  const change = follow(model, paint);

  const order = () => ACTIONS.slice().sort((i, j) => state().p[j] - state().p[i]);
  preset(presets, "reward the likeliest", () => change({ z: ACTIONS.map((k) => (k === order()[0] ? 1.5 : 0)) }));
  preset(presets, "reward the rarest", () => change({ z: ACTIONS.map((k) => (k === order()[2] ? 1.5 : 0)) }));
  preset(presets, "cool", () => {
    const logs = state().p.map(Math.log), level = mean(state().p, logs);
    change({ z: logs.map((each) => Math.round(within((each - level) / 2, -REACH, REACH) * 20) / 20) });
  });
  preset(presets, "uniform policy", () => change({ p: CENTRE }));
}

export default { render, fault, measures };
