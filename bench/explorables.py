"""How long one move of each explorable takes, from the built site in Chromium.

    python bench/explorables.py

A move is one step of a slider or of a handle. Its work is all that happens in the frame that follows: the new
state, the redraw, the layout of the page. 16 ms is one frame at 60 frames a second.
"""

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import chromium  # noqa: E402
from build import SITE, pages  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

MOVES = 40
# Callbacks of a frame run in the order in which they were asked for: ours before, the redraw, ours after.
MOVE = """async ([id, moves]) => {
  const figure = document.getElementById(id), times = [];
  const sliders = [...figure.querySelectorAll("input[type=range]:not(:disabled)")];
  const handles = [...figure.querySelectorAll(".stage-handle")];
  const frame = () => new Promise(requestAnimationFrame);
  for (let i = 0; i < moves; i += 1) {
    await frame();
    let begin;
    const before = frame().then(() => { begin = performance.now(); });
    const done = sliders.length && new Promise((tell) => {
      figure.addEventListener("explorable:change", tell, { once: true });
    });
    if (sliders.length) {
      const slider = sliders[i % sliders.length], there = slider.valueAsNumber;
      slider.stepUp();
      if (slider.valueAsNumber === there) slider.value = slider.min;
      slider.dispatchEvent(new Event("input", { bubbles: true }));
    } else {
      const key = ["ArrowUp", "ArrowDown"][Math.floor(i / handles.length) % 2];
      handles[i % handles.length].dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    }
    const after = done || frame();
    await before;
    await after;
    figure.getBoundingClientRect();
    times.push(performance.now() - begin);
  }
  return times;
}"""
KIND = """(figure) => { const { stage, positions } = figure.explorable.record;
  return stage ? "stage" : Object.keys(positions ?? {}).length ? "grid" : "expressions"; }"""


def measure(browser):
    """(page, id, kind, [ms]) of every explorable that has a slider or a handle."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    for page in (p for p in pages() if p.startswith("notebooks/")):
        tab.goto((SITE / f"{page}.html").as_uri())
        for figure in tab.locator("figure.explorable[id^=explore-]").all():
            figure.scroll_into_view_if_needed()
            tab.wait_for_function("(f) => f.dataset.drawn", arg=figure.element_handle())
            if figure.locator("input[type=range], .stage-handle").count():
                name = figure.get_attribute("id")
                tab.evaluate(MOVE, [name, 5])  # the first moves compile
                yield page, name.removeprefix("explore-"), figure.evaluate(KIND), tab.evaluate(MOVE, [name, MOVES])


def main():
    if not (SITE / "index.html").is_file():
        sys.exit(f"no built book in {SITE}: run make book first")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.arguments())
        print(f"Chromium {browser.version}, {MOVES} moves each, ms of one move\n")
        print("| explorable | kind | median | slowest of 20 |\n|---|---|---|---|")
        for page, name, kind, times in measure(browser):
            slow = statistics.quantiles(times, n=20)[-1]
            print(f"| {page.split('/')[-1]}: {name} | {kind} | {statistics.median(times):.1f} | {slow:.1f} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
