/* Steps of a derivation: what one opens stays where it is on the screen, a link to a folded step
   opens it, and one button unfolds them all. Without this script the steps still fold and unfold. */
(() => {
  const steps = [...document.querySelectorAll("details.step")];
  const button = document.querySelector(".steps-all button");
  const summaryOf = (step) => step.querySelector("summary");

  /* Opening a step folds the one before it. Two frames: the browser may itself scroll in the first. */
  function hold(element, top) {
    const back = () => scrollBy({ top: element.getBoundingClientRect().top - top, behavior: "instant" });
    requestAnimationFrame(() => { back(); requestAnimationFrame(back); });
  }

  function show(step) {
    step.open = true;
    summaryOf(step).focus({ preventScroll: true });
    step.scrollIntoView({ block: "start", behavior: "instant" });
  }

  function follow() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const step = target && target.closest("details.step");
    if (step === target && step) show(step);
    else if (step) step.open = true;
  }

  for (const step of steps) {
    summaryOf(step).addEventListener("click", () => hold(step, step.getBoundingClientRect().top));
    step.querySelector("a.step-next")?.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      const next = document.getElementById(decodeURIComponent(event.currentTarget.hash.slice(1)));
      history.pushState(null, "", event.currentTarget.hash);
      show(next);
    });
  }

  /* All steps at once only without their common name, which allows one open step. */
  button?.addEventListener("click", () => {
    const open = button.textContent === button.dataset.unfold;
    for (const step of steps) {
      open ? step.removeAttribute("name") : step.setAttribute("name", "steps");
      step.open = open;
    }
    button.textContent = open ? button.dataset.fold : button.dataset.unfold;
  });

  addEventListener("hashchange", follow);
  follow();
})();
