"""Every page in Chromium, opened from disk, visited once on a desk and once on a phone, from where it is printed.

A visit looks at everything that must hold of any page, and tells all faults that it finds together.
"""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import facts
import paper
import pdf
from controls import stuck

FOLDS = "document.querySelector('main details:not([open]), .toggle-hidden')"
# Bytes of a page with all that it loads, not packed; quizzes and the record are 20,000 of them where there are quizzes.
FIRST_LOAD = {"book": 1_675_000, "notebooks": 1_800_000}
SPEAKS = 20  # characters that a text alternative needs at least to say what a picture shows


class Visit:
    """A page under a magnifying glass: `see(fact, found)` notes what is wrong."""

    def __init__(self, read, name, width, scheme):
        self.reader, self.faults = read(width, 800, scheme=scheme, bypass_csp=False), []
        self.tab = self.reader.tab
        for script in (facts.SHIFTS, facts.WATCH):
            self.tab.add_init_script(script)
        self.reader.open(name, figures=False)
        self.tab.evaluate(facts.SCROLL)  # down to the end as a reader does; pictures are drawn on the way
        self.reader.settle()
        self.tab.evaluate(facts.REST)
        shift = self.tab.evaluate("shift")
        self.see("the page jumps", [shift] if shift >= facts.LIMIT else [])

    def see(self, fact, found):
        if found not in ([], 0, None):
            self.faults.append(f"{fact}: {found}")

    def weight(self):
        """Bytes of the page and of all that it has loaded so far."""
        files = {Path(unquote(urlsplit(url).path)) for url in self.reader.requests if url.startswith("file:")}
        return sum(path.stat().st_size for path in files)

    def stands(self, what):
        """Nothing is cut off, lies on something else or sticks out at the side."""
        for fact in ("CUT_OFF", "CUT", "OVERLAPS", "LABELS", "SIDEWAYS", "NOTES"):
            self.see(f"{what}, {fact}", self.tab.evaluate(getattr(facts, fact)))

    def resize(self, width):
        self.tab.set_viewport_size({"width": width, "height": 800})
        self.tab.evaluate(facts.REST)

    def unfold(self):
        self.tab.evaluate(facts.UNFOLD)
        self.reader.settle()
        self.tab.evaluate(facts.REST)

    def spaced(self):
        style = self.tab.add_style_tag(content=facts.SPACED)
        self.stands("at 320 px with wide spacing")
        style.evaluate("e => e.remove()")

    def print(self):
        """Laid out for A4, as printing lays it out."""
        self.resize(paper.TEXT_WIDTH)
        self.tab.emulate_media(media="print", color_scheme="light")
        self.see("faults of the printed page", self.tab.evaluate(pdf.FAULTS, pdf.PATIENCE))
        for fact in ("CUT_OFF", "FOLDED", "DEAD", "SILENT"):
            self.see(f"on paper, {fact}", self.tab.evaluate(getattr(paper, fact)))

    def leave(self):
        self.see("refused by the policy", self.tab.evaluate("refused"))
        self.see("asked of the outside", self.reader.outside)
        self.see("complaints", self.reader.complaints)
        self.see("letters not in the list: run book/_tools/list_letters.py", [r for r in self.reader.requests if "/dynamic/" in r])
        assert not self.faults, "\n".join(self.faults)


def test_a_page_on_a_desk(read, page_name):
    visit = Visit(read, page_name, 1280, "light")
    tab = visit.tab
    visit.see("bytes of a first visit", weight if (weight := visit.weight()) > FIRST_LOAD.get(page_name.split("/")[0], 0) else [])
    visit.see("equations that are not set, or not readable aloud", tab.evaluate(facts.EQUATIONS))
    visit.see("figures that are not drawn, or have no label", tab.evaluate(facts.FIGURES))
    visit.see("icons without a drawing", tab.evaluate(facts.ICONS))
    visit.stands("at 1280 px")
    visit.see("targets too small", tab.evaluate(facts.SMALL))
    visit.see("explorables by keyboard", stuck(tab))
    for _ in range(3):
        tab.locator(".theme-switch-button").click()
    tab.locator(".search-button-field").click()
    tab.keyboard.press("Escape")
    if tab.evaluate(f"Boolean({FOLDS})"):
        visit.unfold()
    read_aloud(visit)
    for width in (768, 1024, 1440):
        visit.resize(width)
        visit.stands(f"at {width} px")
    tab.evaluate(facts.REST)  # what scrolls at this width is named when the width has come to rest
    visit.see("axe, with every fold open", facts.findings(tab))
    visit.leave()


def read_aloud(visit):
    outline = visit.tab.evaluate(facts.OUTLINE)
    wanted = {"lang": "en", "first": "H1", "tops": 1, "mains": 1, "jumps": [], "navs": 0}
    visit.see("outline", [(key, outline[key]) for key, value in wanted.items() if outline[key] != value])
    visit.see("a page without a title", [] if outline["title"] else [outline])
    alts = visit.tab.evaluate(facts.ALTS)
    visit.see("alt text that says little", [a for a in alts if len(a) < SPEAKS or a.endswith((".png", ".svg"))])
    visit.see("two pictures with one text", [a for a in set(alts) if alts.count(a) > 1])
    visit.see("formulas that cannot be heard, or are seen twice", visit.tab.evaluate(facts.FORMULAS))
    sliders = visit.tab.evaluate(facts.SLIDERS)
    visit.see("sliders without a name or a value", [s for s in sliders if not (s["name"] and s["value"])])


def test_a_page_on_a_phone_and_on_paper(read, page_name):
    visit = Visit(read, page_name, 390, "dark")
    visit.stands("at 390 px")
    visit.see("targets too small", visit.tab.evaluate(facts.SMALL))
    visit.see("axe, in the dark", facts.findings(visit.tab, facts.SEEN))
    visit.resize(320)
    visit.stands("at 320 px")
    visit.spaced()
    visit.print()
    visit.leave()
