// Before a page is printed: its title for the head of each sheet, and under each moving figure its
// state in words, since on paper nothing moves.
(() => {
  "use strict";

  function inWords(row) {
    const name = row.querySelector("label").textContent.trim();
    const input = row.querySelector("input, select");
    if (input.matches("select")) return `${name}: ${input.selectedOptions[0].textContent.trim()}`;
    if (input.type === "checkbox") return `${name}: ${input.checked ? "on" : "off"}`;
    return `${name} = ${row.querySelector("output").textContent.trim()}`;
  }

  // A figure that a hand moves has no rows of controls; its state has names and numbers.
  function stateInWords(state) {
    const number = (value) => (typeof value === "number" ? String(Number(value.toPrecision(3))) : String(value));
    return Object.entries(state).map(([name, value]) => `${name} = ${[value].flat().map(number).join(", ")}`);
  }

  function sayState(figure) {
    if (figure.dataset.drawn !== "yes") return;
    const rows = [...figure.querySelectorAll(".explorable-control")].map(inWords);
    const words = rows.length ? rows : stateInWords(figure.explorable?.state?.() ?? {});
    if (!words.length) return;
    let line = figure.querySelector(".explorable-state");
    if (!line) {
      line = document.createElement("p");
      line.className = "explorable-state";
      figure.querySelector(".explorable-view").after(line);
    }
    line.textContent = `Drawn with ${words.join(", ")}.`;
  }

  window.addEventListener("beforeprint", () => {
    const title = document.querySelector("article h1")?.cloneNode(true);
    title?.querySelector(".headerlink")?.remove();
    const words = JSON.stringify(title?.textContent.trim() ?? document.title); // a CSS string too
    document.documentElement.style.setProperty("--running", words);
    document.querySelectorAll("figure.explorable").forEach(sayState);
  });
})();
