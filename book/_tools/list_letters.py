"""Write book/_ext/letters.txt, the letters and signs that the equations of the built book use.

    python book/_tools/list_letters.py

Sets every formula of every page again in Chromium, wide and narrow, and notes what MathJax asks its font
for. Run it when the browser tests say that a page loads letters that are not in the list, then build again.
"""

import sys

import chromium
from build import ROOT, SITE, pages

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import letters  # noqa: E402

NOTE = """async () => {
  const page = MathJax.startup.document, font = page.outputJax.font, seen = new Set();
  const get = font.getChar.bind(font);
  font.getChar = (style, code) => { // under the names of all styles that share the drawing
    const drawing = get(style, code);
    for (const [name, { chars }] of Object.entries(font.variant)) {
      if (drawing && Object.hasOwn(chars, code) && chars[code] === drawing) seen.add(`${name} ${code}`);
    }
    return drawing;
  };
  await page.rerenderPromise(MathJax._.core.MathItem.STATE.COMPILED);
  return [...seen];
}"""


def collect(site=SITE):
    """{style: codes} that the pages of a site ask for."""
    from playwright.sync_api import sync_playwright

    path, used = chromium.find(), {}
    if path is None:
        sys.exit(chromium.HELP)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.arguments())
        for width in (1280, 390):
            context = browser.new_context(viewport={"width": width, "height": 900}, bypass_csp=True)
            tab = context.new_page()
            for name in pages():
                tab.goto((site / f"{name}.html").as_uri())
                if tab.locator(".math").count():
                    tab.wait_for_selector("html[data-math=ready]", state="attached")
                    for each in tab.evaluate(NOTE):
                        style, code = each.split()
                        used.setdefault(style, set()).add(int(code))
            context.close()
        browser.close()
    return used


if __name__ == "__main__":
    used = collect()
    letters.LIST.write_text(letters.written(used), encoding="utf8")
    print(f"{sum(map(len, used.values()))} letters in {len(used)} styles: {letters.LIST.relative_to(ROOT)}")
