"""What must hold of every page, each as a script that gives the faults it finds, or a number.

Read by test_pages.py, which visits each page twice, and by the tests of single pages.
"""

from pathlib import Path

import axe_playwright_python

# ---------------------------------------------------------------------- whole, in place
CUT_OFF = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const clips = (e) => ["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX);
  const inside = (e) => e && (clips(e) || inside(e.parentElement));
  return [...document.querySelectorAll(".bd-article *")].filter((e) => {
    const box = e.getBoundingClientRect();
    const seen = box.width > 0 && !e.closest("mjx-assistive-mml, .sr-only");
    return seen && box.right > edge && !inside(e.parentElement);
  }).slice(0, 5).map((e) => `${e.tagName} ${e.className.baseVal ?? e.className} is cut off`);
}"""
EQUATIONS = """() => [...document.querySelectorAll(".math")].filter((e) =>
  !e.querySelector("mjx-container svg") || !e.querySelector("mjx-assistive-mml math")
  || e.querySelector("[data-mjx-error], mjx-container text")) // text: a letter that no file of the font holds
  .map((e) => e.textContent.slice(0, 80))"""
FIGURES = """() => [...document.querySelectorAll(".explorable, .picture")].filter((f) => {
  if (f.closest("details:not([open])")) return false;
  const height = f.querySelector("svg")?.getBoundingClientRect().height ?? 0;
  return height < 60 || ![...f.querySelectorAll("[role=img], .explorable-view")].some((e) => e.getAttribute("aria-label"));
}).map((f) => f.id || f.className)"""
ICONS = """() => [...document.querySelectorAll(".fa-solid, .fa-regular, .fa-brands")].filter((e) =>
  getComputedStyle(e).webkitMaskImage === "none").map((e) => e.className)"""
SHIFTS = """window.shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });"""
# A page that keeps one waiting fails, and says for what. Two frames: one to lay out, one to paint.
WAITS = """
  const within = (what, promise) => Promise.race([promise, new Promise((_, fail) => {
    setTimeout(() => fail(new Error(`waited 60 s for ${what}`)), 60_000);
  })]);
  const frame = () => within("a frame", new Promise(requestAnimationFrame));
  const frames = async () => { await frame(); await frame(); };
"""
# What follows a new width waits until it has rested, 300 ms at most; a timer that is set later ends later.
REST = """async () => {%s
  await frames();
  await new Promise((done) => setTimeout(done, 310));
  await within("the equations", window.MathJax?.startup.promise);
  await frames();
  await within("an animation", Promise.allSettled(document.getAnimations().map((each) => each.finished)));
}""" % WAITS
# Down to the end as a reader does, then back.
SCROLL = """async () => {%s
  for (let top = 0; top < document.documentElement.scrollHeight; top += 800) {
    scrollTo({ top, behavior: "instant" });
    await frame();
    await new Promise((done) => setTimeout(done, 40));
  }
  scrollTo({ top: 0, behavior: "instant" });
}""" % WAITS
LIMIT = 0.1  # what Web Vitals call good; one unit is a page that moves by its own height
# Boxes of the frame that must not lie on each other, and text that is wider or higher than its box.
OVERLAPS = """() => {
  const parts = [".bd-sidebar-primary", ".bd-article", ".bd-sidebar-secondary"].map((s) => document.querySelector(s))
    .filter((e) => e?.checkVisibility({ checkVisibilityCSS: true })).map((e) => [e, e.getBoundingClientRect()])
    .filter(([, b]) => b.width && b.right > 0 && b.left < innerWidth);
  return parts.flatMap(([e, a], i) => parts.slice(i + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1).map(([o]) => `${e.className} lies on ${o.className}`));
}"""
CUT = """() => [...document.querySelectorAll("main :is(p, li, h1, h2, h3, td, th, figcaption, label, output, button, a, summary, .check-line, .claim)")]
  .filter((e) => e.checkVisibility() && !e.closest("mjx-container, .sr-only, svg")).filter((e) => {
    const s = getComputedStyle(e);
    const clipsX = ["hidden", "clip"].includes(s.overflowX), clipsY = ["hidden", "clip"].includes(s.overflowY);
    return clipsX && e.scrollWidth > e.clientWidth + 1 || clipsY && e.scrollHeight > e.clientHeight + 1;
  }).map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 40)}`)"""
# Labels of a picture (axes, legends, numbers) that lie on each other.
LABELS = """() => [...document.querySelectorAll("figure.picture svg")].filter((e) => e.checkVisibility()).flatMap((svg) => {
  const texts = [...svg.querySelectorAll("text:not([transform*=rotate])")].map((t) => [t.textContent, t.getBoundingClientRect()]).filter(([, b]) => b.width);
  return texts.flatMap(([word, a], i) => texts.slice(i + 1).filter(([, b]) =>
    Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3
  ).map(([other]) => `${word} | ${other}`)); })"""
SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# WCAG 1.4.12: a reader's own spacing of lines, letters, words and paragraphs.
SPACED = """* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
p { margin-bottom: 2em !important; }"""

# Notes stand beside the paragraph that follows them where there is a margin, and above it where there is none.
NOTES = """() => {
  const box = (e) => e.getBoundingClientRect(), faults = [];
  const edge = document.querySelector(".bd-sidebar-secondary")?.getBoundingClientRect().x || innerWidth;
  const text = document.querySelector(".bd-article h2 ~ p");
  let above = -Infinity;
  for (const note of document.querySelectorAll("aside.margin")) {
    const say = (fault) => faults.push(`the note "${note.textContent.trim().slice(0, 40)}" ${fault}`);
    let next = note.nextElementSibling;
    while (next?.matches("aside, .target, span")) next = next.nextElementSibling;
    if (!next) { say("ends a section: it stands beside nothing"); continue; }
    const { left, right, top, bottom } = box(note);
    if (getComputedStyle(note).float === "right") {
      if (left < box(text).right + 8) say("reaches into the text");
      if (right > edge - 8) say("reaches into the contents");
      if (right - left < 150) say("is narrow");
      if (Math.abs(top - box(next).top) > 40) say("does not stand beside its text");
      if (top < above) say("lies on the note above");
    } else {
      if (Math.abs(left - box(text).left) > 2 || right > box(text).right + 2 || right > innerWidth) say("sticks out of the text");
      if (bottom > box(next).top) say("lies on its text");
    }
    above = bottom;
  }
  return faults;
}"""

# ---------------------------------------------------------------------- for every reader
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf8")
# All rules of WCAG 2.0 to 2.2 A and AA, and axe's best practice. Contrast takes axe most of its time and depends on
# ink and ground alone, of a link also on the text around it: of the elements of one kind it measures one.
FINDINGS = """async (rules) => {
  const how = { resultTypes: ["violations"], preload: false };
  const found = async (context, more) => (await axe.run(context, { ...how, ...more })).violations.flatMap(
    (v) => v.nodes.map((n) => `${v.impact} ${v.id}: ${n.target.join(" ")}`));
  const ground = new Map();
  const behind = (e) => {
    if (!e) return "";
    if (!ground.has(e)) {
      const { backgroundColor, backgroundImage, opacity, position } = getComputedStyle(e);
      const own = [backgroundColor, backgroundImage, opacity, position].join();
      ground.set(e, behind(e.parentElement) + (own === "rgba(0, 0, 0, 0),none,1,static" ? "" : `|${own}`));
    }
    return ground.get(e);
  };
  const ink = (e) => {
    const { color, fontSize, fontWeight, textShadow, textDecorationLine, borderBottom } = getComputedStyle(e);
    return [color, fontSize, fontWeight, textShadow, textDecorationLine, borderBottom].join();
  };
  const kinds = new Map();
  for (const e of document.querySelectorAll("body, body *")) {
    const speaks = [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!speaks && !e.matches("input, select, textarea") || !e.checkVisibility()) continue;
    const kind = [e.tagName, e.getAttribute("class"), ink(e), e.matches(":disabled, [aria-disabled], :disabled *"), e.tagName === "A" && ink(e.parentElement), behind(e)].join();
    if (!kinds.has(kind)) kinds.set(kind, e);
  }
  const inks = ["color-contrast", "link-in-text-block"];
  const others = rules ? { runOnly: rules } : { rules: Object.fromEntries(inks.map((rule) => [rule, { enabled: false }])) };
  return [...await found(document, others), ...await found({ include: [...kinds.values()] }, { runOnly: inks })];
}"""
# Beside contrast, the rules whose answer hangs on widths; the others see the same on a desk and on a phone.
SEEN = ["scrollable-region-focusable", "target-size"]
UNFOLD = """() => {
  for (const fold of document.querySelectorAll("main details")) fold.open = true;
  for (const button of document.querySelectorAll(".toggle-hidden .toggle-button")) button.click();
}"""
OUTLINE = """() => {
  const seen = (e) => e.checkVisibility({ checkVisibilityCSS: true });
  const headings = [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter(seen);
  const level = (e) => Number(e.tagName[1]);
  return {
    lang: document.documentElement.lang,
    title: document.title,
    first: headings[0]?.tagName,
    tops: headings.filter((e) => level(e) === 1).length,
    jumps: headings.filter((e, i) => i && level(e) > level(headings[i - 1]) + 1).map((e) => e.textContent),
    mains: document.querySelectorAll("main").length,
    navs: [...document.querySelectorAll("nav")].filter((e) => !e.ariaLabel && !e.getAttribute("aria-labelledby")).length,
  }; }"""
ALTS = """() => [...document.querySelectorAll("main figure [role=img], main img, main .explorable-view[aria-label]")].filter(
  (e) => e.getAttribute("aria-hidden") !== "true" && !e.closest("[aria-hidden=true]")
).map((e) => e.getAttribute("aria-label") ?? e.getAttribute("alt") ?? "")"""
FORMULAS = """() => [...document.querySelectorAll("mjx-container")].filter((e) => {
  const spoken = e.querySelector("mjx-assistive-mml"), drawn = e.querySelector("svg");
  const style = spoken && getComputedStyle(spoken);
  const read = spoken?.querySelector("math")?.textContent.trim()
    && style.display !== "none" && style.visibility !== "hidden" && !spoken.closest("[aria-hidden=true]");
  const unseen = style && style.position === "absolute" && (style.clip !== "auto" || style.clipPath !== "none");
  return !(read && unseen && drawn?.getAttribute("aria-hidden") === "true");
}).length"""
# 24 by 24 px, or what WCAG 2.5.8 lets be smaller: links within text, and targets with room around them.
SMALL = """() => {
  const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")]
    .filter((e) => e.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true }) && !e.matches(".skip-link a"));
  const boxes = new Map(all.map((e) => [e, e.getBoundingClientRect()])), box = (e) => boxes.get(e);
  const middles = new Map(all.map((e) => [e, [box(e).x + box(e).width / 2, box(e).y + box(e).height / 2]]));
  const middle = (e) => middles.get(e);
  const inText = (e) => e.tagName === "A" && getComputedStyle(e).display === "inline" && e.closest("p, li, td, th, dd, dt, figcaption, caption, .check-line, .citation")
    && [...e.closest("p, li, td, th, dd, dt, figcaption, caption, .check-line, .citation").childNodes].some((n) => n !== e && n.textContent.trim());
  const near = (e) => all.some((o) => Math.hypot(middle(o)[0] - middle(e)[0], middle(o)[1] - middle(e)[1]) < 24
    && !o.contains(e) && !e.contains(o));
  return all.filter((e) => box(e).width && Math.min(box(e).width, box(e).height) < 23.9 && !inText(e) && near(e))
    .map((e) => `${e.tagName}.${e.className} ${e.textContent.trim().slice(0, 30)} ${box(e).width | 0}x${box(e).height | 0}`);
}"""
SLIDERS = """() => [...document.querySelectorAll("figure.explorable input[type=range]")].map((s) => ({
  name: s.labels[0]?.textContent.trim() ?? "", value: s.getAttribute("aria-valuetext") ?? "" }))"""

# ---------------------------------------------------------------------- by the page's policy
# Noted before the page's own scripts run.
WATCH = """window.refused = [];
document.addEventListener("securitypolicyviolation", (e) => refused.push(`${e.effectiveDirective} ${e.blockedURI}`));"""


# What axe need not walk through, the inside of formulas, which FORMULAS looks at, is lifted out and put back.
LIFT = """() => {
  window.lifted = [...document.querySelectorAll("mjx-container > svg, mjx-assistive-mml")].map((e) => [e, [...e.childNodes]]);
  for (const [e] of lifted) e.replaceChildren();
}"""
PUT_BACK = "() => { for (const [e, inside] of lifted) e.replaceChildren(...inside); }"


def findings(tab, rules=None):
    """What axe finds, by all its rules or by those named and contrast."""
    tab.evaluate(LIFT)
    tab.evaluate(AXE)
    found = tab.evaluate(FINDINGS, rules)
    tab.evaluate(PUT_BACK)
    return found
