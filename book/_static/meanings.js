// What a symbol or a word means, where it stands.
// Point at a letter of a formula, or tap it, and a card says what the notation page says of it. No glyph
// is a tab stop: for the keyboard there is one button an equation and one a page, which list the symbols
// in a panel. Glossary terms are links; their card comes with focus too. The build says which symbols a
// formula holds (class means-3-7); the meanings come from meanings-data.js with the first question.
(() => {
  "use strict";
  const root = new URL(document.documentElement.dataset.content_root ?? "./", location.href);
  const here = new URL("meanings-data.js", document.currentScript.src).href;
  const REST = 150, LINGER = 300; // ms that a pointer rests before a card comes, and may be away
  const NEAR = { mouse: 2, touch: 8 }; // px around a letter that still mean it
  const GLYPHS = "[data-mml-node=mi], [data-mml-node=mo], [data-mml-node=mn]";
  const SCRIPTS = "[data-mml-node=msub], [data-mml-node=msup], [data-mml-node=msubsup]";

  let data = null;
  const load = () => data ??= new Promise((done, fail) => {
    const script = document.createElement("script");
    script.src = here;
    script.onload = () => done(window.bookMeanings);
    script.onerror = () => fail(new Error("meanings-data.js did not load"));
    document.head.append(script);
  });

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  // ---------------------------------------------------------------- what a box says
  const link = (address, text) => element("a", { href: new URL(address, root).href }, text);

  function symbolEntry({ symbol, meaning, unit, chapter, page, at }) {
    const name = element("dt"), says = element("dd"), more = element("p", { class: "meaning-more" });
    name.innerHTML = symbol; // written by the build from the notation page
    says.innerHTML = meaning;
    if (unit) {
      const what = element("span");
      what.innerHTML = unit;
      more.append("Unit: ", what, ". ");
    }
    more.append("First in ", page ? link(page, chapter) : chapter, ". ", link(at, "Notation"));
    says.append(more);
    return [name, says];
  }

  function termEntry({ term, meaning }, address) {
    const says = element("dd");
    says.innerHTML = meaning;
    says.append(element("p", { class: "meaning-more" }, link(address, "Glossary")));
    return [element("dt", {}, term), says];
  }

  // Set the formulas of a box as MathJax sets those of the page, after whatever it is doing.
  function fill(box, entries) {
    const list = element("dl", {}, ...entries.flat());
    window.MathJax?.typesetClear?.([box]);
    box.querySelector("dl")?.remove();
    box.append(list);
    const start = window.MathJax?.startup;
    if (!start?.promise || !list.querySelector(".math")) return Promise.resolve();
    start.promise = start.promise.then(() => list.isConnected && MathJax.typesetPromise([list]));
    return start.promise;
  }

  // Below what it explains, or above it where there is no room; never over the edge of the page.
  function place(box, rect, fixed = false) {
    const page = document.documentElement, gap = 6;
    const { offsetWidth: width, offsetHeight: height } = box;
    const below = rect.bottom + gap + height <= page.clientHeight || rect.top < height + gap;
    const top = below ? rect.bottom + gap : rect.top - gap - height;
    const left = Math.max(8, Math.min(rect.left, page.clientWidth - width - 8));
    box.style.position = fixed ? "fixed" : "absolute";
    box.style.left = `${left + (fixed ? 0 : scrollX)}px`;
    box.style.top = `${top + (fixed ? 0 : scrollY)}px`;
  }

  // ---------------------------------------------------------------- the card: pointing, tapping, focus
  const card = element("div", { id: "meaning-card", class: "meaning", role: "tooltip", popover: "manual" });
  let shownFor = null, timer = 0;

  function hide() {
    clearTimeout(timer);
    shownFor?.classList.remove("asked");
    shownFor?.removeAttribute("aria-describedby");
    shownFor = null;
    if (card.matches(":popover-open")) card.hidePopover();
  }

  async function show(trigger) {
    clearTimeout(timer);
    if (shownFor === trigger.mark) return;
    hide();
    shownFor = trigger.mark;
    const entries = trigger.entries(await load());
    if (shownFor !== trigger.mark || !entries.length) return;
    const set = fill(card, entries);
    const open = () => {
      if (shownFor !== trigger.mark) return;
      if (!card.matches(":popover-open")) card.showPopover();
      place(card, trigger.mark.getBoundingClientRect());
    };
    trigger.mark.classList.add("asked");
    if (trigger.mark.matches("a")) trigger.mark.setAttribute("aria-describedby", card.id);
    open();
    set.then(open);
  }

  const plain = (tex) => tex.replace(/[{}\s]/g, "");
  const numbers = (node) => [...node.classList].find((name) => name.startsWith("means-"))
    ?.slice("means-".length).split("-").map(Number);

  // The letter at a point: a pointer is rarely on the ink itself.
  function glyphAt(math, x, y, near) {
    let best = null, least = Infinity;
    for (const glyph of math.querySelectorAll(GLYPHS)) {
      const { left, right, top, bottom, width, height } = glyph.getBoundingClientRect();
      const inside = x >= left - near && x <= right + near && y >= top - near && y <= bottom + near;
      const away = Math.hypot(x - left - width / 2, y - top - height / 2);
      if (width && inside && away < least) [best, least] = [glyph, away];
    }
    return best;
  }

  // What can be asked at a place of the page: a term, or a letter of a formula that knows its symbols.
  function triggerAt({ target, clientX, clientY, pointerType }) {
    const term = target.closest?.("a.term");
    if (term) {
      const address = decodeURI(term.href).replace(decodeURI(root.href), "");
      return { mark: term, entries: ({ terms }) => terms[address] ? [termEntry(terms[address], address)] : [] };
    }
    const math = target.closest?.(".math[class*=means-]");
    const glyph = math && glyphAt(math, clientX, clientY, NEAR[pointerType] ?? NEAR.mouse);
    if (!glyph) return null;
    // An index belongs to its letter: k in π_k asks for π_k.
    const letters = [glyph];
    for (let up = glyph.parentElement?.closest(SCRIPTS); up; up = up.parentElement?.closest(SCRIPTS)) {
      letters.push(up.firstElementChild);
    }
    const entriesOf = (symbols, letter) => numbers(math).map((number) => symbols[number]).filter(
      (symbol) => symbol.heads.includes(plain(letter.dataset.latex ?? "")),
    );
    return {
      mark: glyph,
      entries({ symbols }) {
        const found = letters.map((letter) => entriesOf(symbols, letter)).find((each) => each.length);
        return (found ?? []).map(symbolEntry);
      },
    };
  }

  let pointed = null; // what the pointer is at
  document.addEventListener("pointermove", (event) => {
    if (event.pointerType === "touch") return;
    const inside = card.contains(event.target), trigger = inside ? null : triggerAt(event);
    const mark = inside ? card : trigger?.mark ?? null;
    if (mark === pointed) return;
    pointed = mark;
    clearTimeout(timer);
    if (inside || (mark && mark === shownFor)) return;
    if (trigger) timer = setTimeout(() => show(trigger), REST);
    else if (shownFor && document.activeElement !== shownFor) timer = setTimeout(hide, LINGER);
  });
  document.addEventListener("click", (event) => {
    if (card.contains(event.target)) return;
    const trigger = triggerAt(event);
    if (!trigger) return hide();
    const follow = trigger.mark.matches("a") && (event.pointerType !== "touch" || trigger.mark === shownFor);
    if (follow || (!trigger.mark.matches("a") && event.target.closest("a, button, label, summary"))) return;
    event.preventDefault(); // the first tap on a term asks, the second follows
    show(trigger);
  });
  document.addEventListener("focusin", ({ target }) => {
    if (target.matches("a.term") && target.matches(":focus-visible")) show(triggerAt({ target }));
  });
  document.addEventListener("focusout", ({ target }) => {
    if (target === shownFor) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && card.matches(":popover-open")) hide();
  });

  // ---------------------------------------------------------------- the panel: buttons
  const heading = element("h2", { id: "meanings-title" });
  const close = element("button", { type: "button", class: "meanings-close", "aria-label": "Close" }, "×");
  const panel = element("div", {
    id: "meanings", class: "meaning meanings", role: "dialog", popover: "auto", tabindex: "-1",
    "aria-labelledby": heading.id,
  }, close, heading);
  let opener = null;

  async function list(button, title, wanted, fixed) {
    hide();
    const { symbols } = await load();
    heading.textContent = title;
    if (panel.matches(":popover-open")) panel.hidePopover();
    const set = fill(panel, wanted.map((number) => symbolEntry(symbols[number])));
    opener = button;
    panel.showPopover();
    const settle = () => place(panel, button.getBoundingClientRect(), fixed);
    settle();
    panel.focus({ preventScroll: true });
    set.then(() => { if (panel.matches(":popover-open")) settle(); });
  }

  // Before it closes, for by then another button may have opened it again.
  panel.addEventListener("beforetoggle", ({ newState }) => {
    opener?.setAttribute("aria-expanded", String(newState === "open"));
    if (newState === "closed" && panel.contains(document.activeElement)) opener?.focus({ preventScroll: true });
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key === "Escape") panel.hidePopover();
  });
  close.addEventListener("click", () => panel.hidePopover());

  function start() {
    document.body.append(card, panel);
    const all = new Set([...document.querySelectorAll(".math[class*=means-]")].flatMap(numbers));
    for (const button of document.querySelectorAll("button.equation-symbols")) {
      button.addEventListener("click", () => list(
        button, button.textContent.replace(/^s/, "S"), button.dataset.means.split("-").map(Number), false,
      ));
    }
    const bar = document.querySelector(".article-header-buttons");
    if (!bar || !all.size) return;
    const button = element("button", {
      type: "button", class: "btn btn-sm pst-navbar-icon page-symbols", title: "Symbols on this page",
      "aria-label": "Symbols on this page", "aria-haspopup": "dialog", "aria-expanded": "false",
    }, "π");
    const wanted = [...all].sort((a, b) => a - b);
    button.addEventListener("click", () => list(button, "Symbols on this page", wanted, true));
    bar.prepend(button);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
