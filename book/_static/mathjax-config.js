// Settings of MathJax (vendor/mathjax): equations as SVG, read aloud through their MathML,
// broken into lines where the page is narrow. Loaded before MathJax, only where a page has math.
"use strict";

// Keep a short formula on one line, and a full stop with the formula that it follows.
function keepTogether() {
  for (const formula of document.querySelectorAll("span.math > mjx-container")) {
    const widths = [...formula.querySelectorAll(":scope > svg")].map((svg) => parseFloat(svg.getAttribute("width")));
    if (widths.reduce((sum, ex) => sum + ex, 0) < 22) formula.style.whiteSpace = "nowrap";
    const after = formula.parentElement.nextSibling;
    if (after?.nodeType === Node.TEXT_NODE && /^[.,;:!?)\]]/.test(after.data)) after.data = "\u2060" + after.data;
  }
}

window.MathJax = {
  loader: {
    load: ["input/tex", "output/svg", "a11y/assistive-mml"],
    paths: { fonts: "[mathjax]/fonts" },
  },
  tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]], processEnvironments: false },
  output: { displayOverflow: "linebreak", linebreaks: { inline: true, width: "100%" }, mtextInheritFont: false },
  options: { enableAssistiveMml: true },
  startup: {
    // Typeset what the book marks as math, never an output that happens to hold a backslash.
    elements: [".math"],
    ready() {
      delete MathJax.config.options.menuOptions; // set for a menu that is not loaded
      MathJax.startup.defaultReady();
      // Aligned equations keep their columns: on a narrow page they scroll inside themselves.
      for (const input of MathJax.startup.document.inputJax) {
        input.postFilters.add(({ data }) => {
          let table = false;
          data.root.walkTree((node) => { table = table || node.isKind("mtable"); });
          if (table) data.root.attributes.set("overflow", "scroll");
        });
      }
    },
    async pageReady() {
      await MathJax.startup.defaultPageReady();
      keepTogether();
      document.documentElement.dataset.math = "ready";
      // Line breaks depend on the width: set again when it has changed and come to rest.
      let width = window.innerWidth, timer = 0;
      window.addEventListener("resize", () => {
        if (Math.abs(window.innerWidth - width) < 24) return;
        clearTimeout(timer);
        timer = setTimeout(() => {
          width = window.innerWidth;
          MathJax.startup.promise = MathJax.startup.promise.then(() => MathJax.startup.document.rerenderPromise()).then(keepTogether);
        }, 300);
      });
    },
  },
};
