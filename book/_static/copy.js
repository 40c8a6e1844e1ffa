// A button on each block of code that copies it. It stands in for a tool of 20 kB.
(() => {
  "use strict";
  // Pages from disk may have no clipboard of the modern kind.
  async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("the browser refused");
  }

  for (const code of document.querySelectorAll("main div.highlight > pre")) {
    if (code.closest(".cell_output")) continue;
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "copy-code", textContent: "Copy" });
    button.setAttribute("aria-label", "Copy this code");
    const say = (word) => {
      button.textContent = word;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    };
    button.addEventListener("click", () => copy(code.textContent).then(() => say("Copied"), () => say("Not copied")));
    code.before(button);
  }
})();
