// Settings of MathJax (vendor/mathjax): equations as SVG, read aloud through their MathML,
// broken into lines where the page is narrow. Loaded before MathJax, only where a page has math.
"use strict";

// Keep a short formula on one line, and a full stop with the formula that it follows.
function keepTogether() {
  const length = (svg) => parseFloat(svg.getAttribute("width")); // in ex
  for (const formula of document.querySelectorAll("span.math > mjx-container")) {
    const pieces = [...formula.querySelectorAll(":scope > svg")];
    if (pieces.reduce((sum, svg) => sum + length(svg), 0) < 22) formula.classList.add("whole");
    const next = formula.parentElement.nextSibling;
    if (next?.nodeType === Node.TEXT_NODE && /^[.,;:!?)\]]/.test(next.data)) {
      next.data = "\u2060" + next.data; // a word joiner
    }
  }
}

// Setting again from here on measures the width anew; MathJax's own default keeps the old one.
const metrics = () => MathJax._.core.MathItem.STATE.METRICS;

// Line breaks depend on the width: set them again when it has changed and come to rest.
function followTheWidth() {
  let width = window.innerWidth, timer = 0;
  const again = () => {
    width = window.innerWidth;
    const rerender = () => MathJax.startup.document.rerenderPromise(metrics());
    MathJax.startup.promise = MathJax.startup.promise.then(rerender).then(keepTogether);
  };
  window.addEventListener("resize", () => {
    if (Math.abs(window.innerWidth - width) < 24) return;
    clearTimeout(timer);
    timer = setTimeout(again, 300);
  });
}

// A sheet of paper is wider than a phone: set the lines for it, and set them back. Printing does not
// wait, so at once; everything that setting needs has been loaded for the screen.
function followThePaper() {
  const root = document.documentElement;
  const setAgain = () => { MathJax.startup.document.rerender(metrics()); keepTogether(); };
  window.addEventListener("beforeprint", () => {
    if (window.innerWidth > 800 || matchMedia("print").matches) return;
    root.classList.add("on-paper");
    setAgain();
  });
  window.addEventListener("afterprint", () => {
    if (!root.classList.contains("on-paper")) return;
    root.classList.remove("on-paper");
    setAgain();
  });
}

// Aligned equations keep their columns: on a narrow page they scroll inside themselves.
function scrollTables({ data }) {
  let table = false;
  data.root.walkTree((node) => { table = table || node.isKind("mtable"); });
  if (table) data.root.attributes.set("overflow", "scroll");
}

window.MathJax = {
  loader: {
    load: ["input/tex", "output/svg", "a11y/assistive-mml"],
    paths: { fonts: "[mathjax]/fonts" },
  },
  tex: {
    inlineMath: [["\\(", "\\)"]],
    displayMath: [["\\[", "\\]"]],
    processEnvironments: false,
  },
  output: {
    displayOverflow: "linebreak",
    linebreaks: { inline: true, width: "100%" },
    mtextInheritFont: false,
  },
  options: { enableAssistiveMml: true },
  startup: {
    // Typeset what the book marks as math, never an output that happens to hold a backslash.
    elements: [".math"],
    ready() {
      delete MathJax.config.options.menuOptions; // set for a menu that is not loaded
      MathJax.startup.defaultReady();
      for (const input of MathJax.startup.document.inputJax) input.postFilters.add(scrollTables);
    },
    async pageReady() {
      await MathJax.startup.defaultPageReady();
      keepTogether();
      document.documentElement.dataset.math = "ready";
      followTheWidth();
      followThePaper();
    },
  },
};
