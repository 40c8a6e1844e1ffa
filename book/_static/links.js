// Links to any place of a page. Following one opens what the place is folded in, brings it to view and
// keeps it there while formulas and figures above it grow; a click on the link symbol copies the address.
(() => {
  "use strict";
  const HANDS = ["wheel", "touchmove", "keydown", "mousedown"]; // signs that the reader takes over

  const asked = () => {
    try {
      return document.getElementById(decodeURIComponent(location.hash.slice(1)));
    } catch {
      return null; // an address with a broken escape
    }
  };

  // Open every fold around a place, and the place itself where it is one.
  function unfold(place) {
    for (let node = place; node; node = node.parentElement) {
      if (node.matches("details")) node.open = true;
      if (node.matches(".toggle-hidden")) node.querySelector(".toggle-button")?.click();
    }
  }

  // Put a place at the top whenever the page grows, until the reader takes over or has gone elsewhere.
  let letGo = () => {};
  function hold(place) {
    letGo();
    const where = () => place.getBoundingClientRect().top;
    let top = 0;
    const put = () => {
      place.scrollIntoView({ block: "start", behavior: "instant" });
      top = where();
    };
    const grown = new ResizeObserver(put);
    // Growth above moves the place without a scroll, or scrolls and leaves it about where it is on the screen.
    const gone = () => { if (Math.abs(where() - top) > innerHeight / 2) letGo(); };
    letGo = () => {
      grown.disconnect();
      removeEventListener("scroll", gone);
      for (const sign of HANDS) removeEventListener(sign, letGo);
    };
    for (const sign of HANDS) addEventListener(sign, letGo, { passive: true });
    put();
    grown.observe(document.querySelector(".bd-article") ?? document.body);
    addEventListener("scroll", gone, { passive: true });
  }

  function arrive() {
    const place = asked();
    if (!place) return;
    unfold(place);
    hold(place);
    place.classList.remove("arrived");
    requestAnimationFrame(() => place.classList.add("arrived"));
  }

  // ---------------------------------------------------------------- copying
  const status = document.createElement("div");
  Object.assign(status, { className: "link-copied", role: "status" });
  document.body.append(status);
  let timer = 0;
  async function copy(link) {
    const address = new URL(link.getAttribute("href"), location.href).href;
    try {
      await navigator.clipboard.writeText(address);
    } catch {
      return; // not allowed here; the address bar has it
    }
    status.textContent = "Link copied";
    clearTimeout(timer);
    timer = setTimeout(() => { status.textContent = ""; }, 2500);
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a.headerlink, a.row-link");
    if (link) copy(link);
    // A link to the place one is at makes no hashchange.
    const again = event.target.closest?.('a[href^="#"]');
    if (again && again.getAttribute("href") === location.hash) setTimeout(arrive);
  });
  addEventListener("hashchange", arrive);
  if (document.readyState === "complete") arrive();
  else addEventListener("DOMContentLoaded", () => setTimeout(arrive)); // after folds are made
})();
