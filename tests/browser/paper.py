"""What must hold of every page on paper, each as a script that gives the faults it finds."""

import pdf

TEXT_WIDTH = round((pdf.PAPER[0] - 2 * pdf.MARGIN) / 25.4 * 96)

# What lies beyond the text, or is cut by a box around it: on paper nobody can scroll.
CUT_OFF = """() => {
  const edge = document.documentElement.clientWidth + 1.5;
  const told = (e) => `${e.tagName} ${e.className.baseVal ?? e.className} ${e.textContent.trim().slice(0, 40)}`;
  const seen = [...document.querySelectorAll(".bd-article *")].filter(
    (e) => e.getClientRects().length && !e.closest("mjx-assistive-mml, .sr-only, .visually-hidden, script"));
  const beyond = seen.filter((e) => e.getBoundingClientRect().right > edge || e.getBoundingClientRect().left < -1.5);
  const cut = seen.filter((e) => getComputedStyle(e).overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1
    && !(e instanceof SVGElement));
  return [...beyond, ...cut].slice(0, 5).map(told);
}"""
# Folded parts with nothing to see in them (what leads elsewhere is left out on paper), and what works on a screen only.
FOLDED = """() => [...document.querySelectorAll(
  ".bd-article :is(details > :not(summary), .admonition.dropdown > *)")].filter(
  (e) => e.textContent.trim() && !e.matches("button, .headerlink") && !e.closest("nav") && !(e.checkVisibility() && e.getBoundingClientRect().height))
  .map((e) => e.textContent.trim().slice(0, 60))"""
DEAD = """() => [...document.querySelectorAll("input, select, button, nav, .headerlink")].filter(
  (e) => e.checkVisibility() && e.getBoundingClientRect().height).map((e) => e.outerHTML.slice(0, 80))"""
SILENT = """() => [...document.querySelectorAll("figure.explorable:has([data-param])")].filter((figure) => {
  const line = figure.querySelector(".explorable-state");
  const names = [...figure.querySelectorAll(".explorable-control label")].map((e) => e.textContent.trim());
  return !line?.getBoundingClientRect().height || names.some((name) => !line.textContent.includes(name));
}).map((figure) => figure.id)"""
