// Before a page is printed: its title for the head of each sheet, and under each moving figure the
// values of its controls in words, since on paper nothing moves. Works on any control that
// explorable.js builds: a labelled input or choice in a row of its own.
(() => {
  "use strict";

  function inWords(row) {
    const name = row.querySelector("label").textContent.trim();
    const input = row.querySelector("input, select");
    if (input.matches("select")) return `${name}: ${input.selectedOptions[0].textContent.trim()}`;
    if (input.type === "checkbox") return `${name}: ${input.checked ? "on" : "off"}`;
    return `${name} = ${row.querySelector("output").textContent.trim()}`;
  }

  function sayState(figure) {
    const rows = [...figure.querySelectorAll(".explorable-control")];
    if (!rows.length) return;
    let line = figure.querySelector(".explorable-state");
    if (!line) {
      line = document.createElement("p");
      line.className = "explorable-state";
      figure.querySelector(".explorable-view").after(line);
    }
    line.textContent = `Drawn with ${rows.map(inWords).join(", ")}.`;
  }

  window.addEventListener("beforeprint", () => {
    const title = document.querySelector("article h1")?.cloneNode(true);
    title?.querySelector(".headerlink")?.remove();
    if (title) document.documentElement.style.setProperty("--running", JSON.stringify(title.textContent.trim()));
    document.querySelectorAll("figure.explorable").forEach(sayState);
  });
})();
