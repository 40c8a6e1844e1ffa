// Slides: reveal.js over the page's own elements. It does not scale them, so that formulas and pictures
// measure the place where they stand; pictures are enlarged by `zoom`, with which the pointer meets them.
"use strict";

addEventListener("DOMContentLoaded", () => {
  const enlarge = () => {
    const factor = Math.max(1, Math.min(innerWidth / 1160, innerHeight / 680));
    for (const figure of document.querySelectorAll("figure.explorable")) figure.style.zoom = factor;
  };
  enlarge();
  addEventListener("resize", enlarge);
  Reveal.initialize({
    disableLayout: true, hash: true, controls: true, progress: true, center: false, transition: "none",
    viewDistance: 200, mobileViewDistance: 200,
    // Arrow keys inside a picture or on a control belong to it.
    keyboardCondition: (event) => !event.target.closest("figure, input, select, button"),
  });
});
