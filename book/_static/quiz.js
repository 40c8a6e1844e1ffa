// Quizzes in the page: a number with its unit, the order of steps, a prediction about a picture.
// The page holds everything from the start; this script listens, answers and tells progress.js.
(() => {
  "use strict";
  const shown = (value, places) => value.toFixed(places).replace("-", "−");

  // ------------------------------------------------------------------ numbers as readers write them
  const UNIT = /\s*(nats?|bits?|%)\s*$/i;
  const NAMED = { ln: Math.log, log: Math.log, log2: Math.log2, sqrt: Math.sqrt };
  const FACTOR = /^(?:(ln|log2|log|sqrt)\s*\(?\s*)?((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)\s*\)?/i;

  // The value of "7/4", "-1.2e-3", "0,5", "2 ln 2"; NaN for anything else.
  function value(text) {
    let rest = text.replace(/[−–]/g, "-").replace(/[×·]/g, "*").replace(/\*\s*10\s*\^\s*\(?([-+]?\d+)\)?/, "e$1")
      .replace(/(\d)\s+e/i, "$1e").replace(/^(.*\d|),(\d+)/, (all, before, after) => (all.includes(".") ? all : `${before}.${after}`)).trim();
    const sign = rest.startsWith("-") ? -1 : 1;
    rest = rest.replace(/^[-+]\s*/, "");
    let product = sign, divide = false;
    do {
      const match = FACTOR.exec(rest);
      if (!match) return NaN;
      const factor = (NAMED[match[1]?.toLowerCase()] ?? Number)(Number(match[2]));
      product = divide ? product / factor : product * factor;
      rest = rest.slice(match[0].length).trim();
      divide = rest.startsWith("/");
      if (/^[\d.]/.test(rest)) return NaN; // "1 234"
      rest = rest.replace(/^[*/]\s*/, "");
    } while (rest || divide);
    return Number.isFinite(product) ? product : NaN;
  }

  // What to say of an answer: {right, words}.
  function judged(text, chosen, { value: truth, within, unit, digits }) {
    const typed = UNIT.exec(text)?.[1].toLowerCase();
    const said = typed ? (typed === "%" ? "%" : `${typed.replace(/s$/, "")}s`) : chosen;
    const given = value(text.replace(UNIT, ""));
    if (Number.isNaN(given)) return { words: "That is no number. Write it like 1.75, 0,5, 7/4, 2e-3 or ln 2." };
    const near = (each) => Math.abs(each - truth) <= within;
    const times = (factor) => near(given / factor);
    const informational = unit === "nats" || unit === "bits";
    const other = unit === "nats" ? "bits" : "nats";
    const rate = unit === "nats" ? 1 / Math.LN2 : Math.LN2; // of the other unit in one of this
    const written = (each) => Number(each.toPrecision(Math.max(3, digits))).toString().replace("-", "−");
    if (informational && !said) return { words: "In which unit? An entropy without nats or bits is half an answer." };
    if (said && said !== unit && !(informational && said === other)) {
      return { words: unit === "1" ? "This one is a plain number, without a unit." : `This one is asked in ${unit}.` };
    }
    if (informational && said === other) {
      if (times(rate)) return { right: true, words: `Right, in ${other}: ${written(truth * rate)} ${other} are ${written(truth)} ${unit}.` };
      if (near(given)) return { words: `That is the value in ${unit}, and you said ${other}. One nat is 1.44 bits.` };
      return wrong(given / rate);
    }
    if (near(given)) return { right: true, words: "Right." };
    if (informational && times(rate)) return { words: `That is the value in ${other}, and you said ${unit}. One nat is 1.44 bits.` };
    return wrong(given);

    function wrong(each) {
      const off = (factor) => near(each / factor);
      if (near(-each)) return { words: "The size is right, the sign is not: which way does it go?" };
      if (unit === "%" && near(100 * each)) return { right: true, words: "Right, as a share; in per cent it is a hundred times that." };
      if (off(2)) return { words: "That is twice the answer." };
      if (off(0.5)) return { words: "That is half of the answer." };
      if (informational && (off(Math.LN2) || off(1 / Math.LN2))) return { words: "Off by a factor ln 2 = 0.693: is a natural logarithm where log₂ should be, or the other way round?" };
      for (const power of [1, 2, 3, 4, 6]) {
        for (const ten of [10 ** power, 10 ** -power]) {
          if (off(ten)) return { words: `The digits are right, the size is not: off by a factor ${ten > 1 ? "" : "1/"}${10 ** power}.` };
        }
      }
      return { words: "No, that is not it." };
    }
  }

  // ------------------------------------------------------------------ what all quizzes share
  function say(quiz, words, right) {
    const line = quiz.querySelector(".quiz-said");
    line.textContent = words;
    line.dataset.right = right ?? "";
  }
  function pass(quiz, words) {
    say(quiz, words, "yes");
    window.progress?.mark(quiz.id, "passed", quiz);
  }
  const open = (quiz) => { quiz.querySelector(".quiz-answer").open = true; };

  function number(quiz, play) {
    const form = quiz.querySelector("form");
    form.addEventListener("submit", () => {
      const { right, words } = judged(form.number.value, form.unit?.value ?? "", play);
      form.number.setAttribute("aria-invalid", String(!right));
      if (!right) { say(quiz, words, "no"); return; }
      pass(quiz, words);
      open(quiz);
    });
  }

  // ------------------------------------------------------------------ the order of steps
  function order(quiz, { steps, others }) {
    const list = quiz.querySelector(".quiz-steps");
    const items = () => [...list.children];
    const kept = () => items().filter((item) => !item.matches(".left-out"));
    const letter = (item) => item.dataset.letter;
    const tell = (item) => {
      const place = kept().indexOf(item) + 1;
      say(quiz, place ? `${letter(item)} is number ${place} of ${kept().length}.` : `${letter(item)} is left out.`);
      for (const each of list.querySelectorAll(".quiz-reason.told")) each.classList.remove("told");
    };
    function move(item, by) {
      const place = items().indexOf(item) + by;
      if (place < 0 || place >= items().length) { tell(item); return; }
      const focus = document.activeElement;
      if (by < 0) items()[place].before(item);
      else items()[place].after(item);
      focus?.focus({ preventScroll: true });
      tell(item);
    }
    const button = (name, sign, words) => Object.assign(document.createElement("button"), {
      type: "button", className: `quiz-${name}`, textContent: sign, ariaLabel: words,
    });
    for (const item of items()) {
      const moves = document.createElement("span");
      moves.className = "quiz-moves";
      moves.append(button("up", "↑", `Move ${letter(item)} up`), button("down", "↓", `Move ${letter(item)} down`));
      if (others) {
        moves.append(button("out", "✕", `Leave ${letter(item)} out`));
        moves.lastChild.ariaPressed = "false";
      }
      item.querySelector(".quiz-step").after(moves);
      item.querySelector(".quiz-up").addEventListener("click", () => move(item, -1));
      item.querySelector(".quiz-down").addEventListener("click", () => move(item, 1));
      item.querySelector(".quiz-out")?.addEventListener("click", ({ currentTarget }) => {
        currentTarget.setAttribute("aria-pressed", String(item.classList.toggle("left-out")));
        tell(item);
      });
      pull(item);
    }
    // By hand: what is pulled by its letter changes places with whatever it is pulled past.
    function pull(item) {
      const grip = item.querySelector(".quiz-letter");
      let held = false;
      grip.addEventListener("pointerdown", (event) => {
        held = true;
        grip.setPointerCapture(event.pointerId);
        event.preventDefault();
      });
      grip.addEventListener("pointermove", ({ clientY, pointerId }) => {
        if (!held) return;
        const middle = (other) => { const box = other.getBoundingClientRect(); return box.top + box.height / 2; };
        const [before, after] = [item.previousElementSibling, item.nextElementSibling];
        if (before && clientY < middle(before)) move(item, -1);
        else if (after && clientY > middle(after)) move(item, 1);
        grip.setPointerCapture(pointerId); // moving a node lets the pointer go
      });
      for (const end of ["pointerup", "pointercancel"]) grip.addEventListener(end, () => { held = false; });
    }
    quiz.querySelector("form").addEventListener("submit", () => {
      const found = kept();
      const wrong = found.findIndex((item, place) => Number(item.dataset.place) !== place);
      if (wrong < 0 && found.length === steps) {
        pass(quiz, "Right: that is the derivation.");
        open(quiz);
        return;
      }
      if (wrong < 0) { say(quiz, `Right as far as it goes, but ${steps - found.length} of its steps are left out.`, "no"); return; }
      const item = found[wrong], reason = item.querySelector(".quiz-reason");
      const foreign = item.dataset.place === "-1";
      say(quiz, `${wrong ? `The first ${wrong === 1 ? "step stands" : `${wrong} steps stand`} right. ` : ""}The first out of place is number ${
        wrong + 1}, ${letter(item)}${foreign ? ": it does not belong here." : "."}${reason ? " Why is said below it." : ""}`, "no");
      reason?.classList.add("told");
    });
  }

  // ------------------------------------------------------------------ predictions
  function predict(quiz, play) {
    const figure = document.getElementById(play.figure);
    const form = quiz.querySelector("form"), see = form.querySelector(".quiz-see"), axis = form.querySelector("[type=range]");
    if (!figure) return;
    let guess = null, committed = false, touched = false, drawing = null;
    const number = (each) => `${shown(each, play.places)}${play.unit && ` ${play.unit}`}`;
    const choose = (each) => {
      axis.value = each;
      touched = true;
      paint();
    };
    const paint = () => {
      form.querySelector("output").textContent = touched ? shown(axis.valueAsNumber, play.places) : "?";
      axis.setAttribute("aria-valuetext", touched ? number(axis.valueAsNumber) : "not chosen yet");
      axis.style.setProperty("--filled", (axis.valueAsNumber - axis.min) / (axis.max - axis.min));
      lines();
    };
    const lines = (truth) => {
      if (!play.line || !touched) return;
      const own = { at: axis.valueAsNumber, name: "you" };
      drawing?.lines(play.part, play.line, truth === undefined ? [own] : [own, { at: truth, name: "it is here" }]);
    };
    if (axis) {
      axis.addEventListener("input", () => { touched = true; paint(); });
      paint();
      // Where the chart has the axis, a click on it chooses as well.
      if (play.line) {
        const near = new IntersectionObserver(async ([{ isIntersecting }]) => {
          if (!isIntersecting) return;
          near.disconnect();
          await window.explorables.show(figure);
          drawing = figure.explorable.picture;
          drawing?.clicked(play.part, play.line, (each) => { if (!committed) choose(each); });
          lines();
        });
        near.observe(quiz);
      }
    }

    const there = (state) => Object.entries(play.set).every(([name, value]) => (
      typeof value === "number" ? Math.abs(state[name] - value) <= 1e-6 * Math.max(1, Math.abs(value)) : state[name] === value
    ));
    function reveal() {
      if (guess === null) return;
      const right = axis ? Math.abs(guess - play.truth) <= play.within : guess === play.truth;
      if (axis) {
        lines(play.truth);
        const words = `You said ${number(guess)}, the picture shows ${number(play.truth)}`;
        const miss = guess < play.truth ? "too low" : "too high";
        if (right) pass(quiz, `${words}: well foreseen.`);
        else say(quiz, `${words}: ${miss}.`, "no");
      } else if (right) pass(quiz, "You foresaw it.");
      else say(quiz, "The picture says otherwise. The answer below says what it shows, and why.", "no");
      guess = null;
      see.hidden = true;
      open(quiz);
    }
    figure.addEventListener("explorable:change", ({ detail }) => { if (guess !== null && there(detail)) reveal(); });

    form.addEventListener("submit", async () => {
      if (committed) return;
      guess = axis ? (touched ? axis.valueAsNumber : null) : form.querySelector(":checked")?.value ?? null;
      if (guess === null) { say(quiz, axis ? "First move the slider." : "First choose one.", "no"); return; }
      committed = true;
      for (const input of form.querySelectorAll("input")) input.disabled = true;
      form.querySelector("button:not(.quiz-see)").hidden = true;
      see.hidden = false;
      see.focus({ preventScroll: true });
      const wanted = Object.entries(play.set).map(([name, value]) => `${labelOf(name)} to ${value}`).join(" and ");
      say(quiz, `Noted. Now set ${wanted} in the picture, or press See it.`);
      await window.explorables.show(figure);
      if (Object.keys(play.from).length) figure.explorable.put?.(play.from);
    });
    const labelOf = (name) => figure.querySelector(`[data-param="${name}"], [data-param="at_${name}"]`)
      ?.parentElement.querySelector("label").textContent ?? name;
    see.addEventListener("click", async () => {
      await window.explorables.show(figure);
      figure.explorable.put?.(play.set);
      reveal();
      // Bring a picture that is near to view; to one that is far leads the link in the answer.
      const { top, bottom } = figure.getBoundingClientRect();
      const out = bottom > innerHeight || top < 60, far = top > 2 * innerHeight || bottom < -innerHeight;
      if (out && !far) figure.scrollIntoView({ block: "center", behavior: "instant" });
    });
  }

  for (const quiz of document.querySelectorAll("[data-quiz]")) {
    for (const form of quiz.querySelectorAll("form")) form.addEventListener("submit", (event) => event.preventDefault());
    ({ number, order, predict })[quiz.dataset.kind](quiz, JSON.parse(quiz.dataset.quiz));
    for (const part of quiz.querySelectorAll("fieldset")) part.disabled = false;
    quiz.querySelector(".quiz-answer").addEventListener("toggle", ({ target }) => {
      if (target.open) window.progress?.mark(quiz.id, "seen", quiz);
    });
  }
})();
