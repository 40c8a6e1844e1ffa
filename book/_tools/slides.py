"""Slides of every chapter, made from its page in the built site: <chapter>-slides.html beside it.

    python book/_tools/slides.py          all chapters (part of make book)

To the right go the sections: what a section opens with, its equations, its claims, its pictures, which
move as on the page. Down go the derivations. Nothing is written twice: a slide shows the page's own elements.
"""

import copy
import re
import sys
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
LEFT_OUT = {"in-the-lab", "exercises", "papers-of-this-chapter", "further-reading"}
SCRIPTS = ("mathjax-config", "chart.js", "explorable.js", "startup.js")  # of the page's own, those that slides need
STYLES = ("theme.css", "book.css", "access.css", "steps.css")
LEAD = 170  # characters, from which one sentence is enough
CLAIMS = 3  # on a slide
SENTENCE_END = re.compile(r"[.!?](?=\s|$)")


def lead(paragraph, soup):
    """The first sentence of a paragraph, two if they are short, with formulas as they are."""
    found, length, sentences = soup.new_tag("p"), 0, 0
    for child in paragraph.children:
        if not isinstance(child, NavigableString):
            found.append(copy.copy(child))
            length += len(child.get_text())
            continue
        text, start = str(child), 0
        for end in SENTENCE_END.finditer(text):
            sentences += 1
            length += end.end() - start
            start = end.end()
            if sentences == 2 or length > LEAD:
                found.append(text[:end.end()])
                return found
        length += len(text) - start
        found.append(text)
    return found


def slide(title, *elements, kind=""):
    inside = "".join(str(element) for element in elements if element is not None)
    return f'<section class="{kind}"><h2>{title}</h2>{inside}</section>'


def heading(section):
    """The title of a section, without its link and its number."""
    found = copy.copy(section.find(["h1", "h2", "h3"], recursive=False))
    for link in found.find_all("a", class_="headerlink"):
        link.decompose()
    return re.sub(r"^\d+\. ", "", found.decode_contents())


def is_equation(element):
    return element.name == "div" and "math" in element.get("class", ())


def stack(section, soup):
    """The slides of one section, the first to the right, the others below it."""
    title = heading(section)
    own = [child for child in section.find_all(recursive=False)]
    paragraphs = [p for p in own if p.name == "p" and not p.get("class")]
    equations = [child for child in own if is_equation(child)]
    claims = [child for child in own if "claim" in child.get("class", ())]
    figures = [child for child in own if child.name == "figure"]
    steps = [child for child in own if child.name == "details" and "step" in child.get("class", ())]
    lists = [child for child in own if child.name in ("ul", "ol")] if not equations else []
    slides = [slide(title, lead(paragraphs[0], soup) if paragraphs else None, *equations[:2], *(lists[:1] if not claims else []), kind="said")]
    slides += [slide(title, *equations[n:n + 2], kind="said") for n in range(2, len(equations), 2)]
    slides += [slide(title, figure, kind="picture") for figure in figures]
    slides += [slide(title, *claims[n:n + CLAIMS], kind="claims") for n in range(0, len(claims), CLAIMS)]
    for step in steps:
        body = step.find("div", class_="step-body")
        for child in body.find_all(class_=("step-checks", "step-on")):
            child.decompose()
        slides.append(slide(step.find("summary").find(string=True), *body.find_all(recursive=False), kind="step-slide"))
    return f"<section>{''.join(slides)}</section>" if len(slides) > 1 else slides[0]


def sections(page):
    """The sections of a chapter that are taught from, each without those inside it, in order."""
    for section in page.find_all("section", recursive=False):
        if section.get("id") not in LEFT_OUT:
            yield section
            yield from section.find_all("section", recursive=False)


def deck(html, name):
    """The HTML of the slides of a chapter's page."""
    soup = BeautifulSoup(html, "html.parser")
    page = soup.find("article").find("section")
    for gone in page.select("a.headerlink, p.check-badges, button.equation-symbols, p.steps-all, aside"):
        gone.decompose()
    taught = list(sections(page))
    for link in page.find_all("a", href=re.compile("^#")):
        link["href"] = f"{name.rsplit('/', 1)[1]}.html{link['href']}"
    for anchor in page.find_all(id=True):  # an address names one place: figures keep theirs, by which they find their data
        if anchor.name not in ("figure", "input", "select"):
            del anchor["id"]
    title, promise = heading(page), page.select_one("p:not(.page-line)")
    first = page.find("figure", recursive=False)
    slides = [f'<section class="opening"><h1>{title}</h1>{promise}</section>']
    slides += [slide(title, first, kind="picture")] if first else []
    for section in taught:
        slides.append(stack(section, soup))
    back = f"{name.rsplit('/', 1)[1]}.html"
    slides.append(f'<section class="closing"><h2>From here</h2><p><a href="{back}">The page</a> has the derivations in full, '
                  f'<a href="{back}#in-the-lab">the labs</a>, <a href="{back}#exercises">the exercises</a> and '
                  f'<a href="{back}#papers-of-this-chapter">the verdicts on the papers</a>.</p></section>')
    up = "../" * name.count("/")
    head = "".join(str(tag) for tag in soup.head.find_all(["meta", "script"])
                   if tag.name == "meta" or not tag.get("src") or any(s in tag["src"] for s in SCRIPTS))
    styles = "".join(str(tag) for tag in soup.head.find_all("link", rel="stylesheet") if any(s in tag["href"] for s in STYLES))
    plain = BeautifulSoup(title, "html.parser").get_text()
    return (f'<!DOCTYPE html>\n<html lang="en" data-content_root="{up}"><head>{head}{styles}'
            f'<link rel="stylesheet" href="{up}_static/vendor/reveal/reveal.css"><link rel="stylesheet" href="{up}_static/slides.css">'
            f"<title>Slides: {escape(plain)}</title>"
            f'<script defer src="{up}_static/vendor/reveal/reveal.js"></script><script defer src="{up}_static/slides.js"></script></head>'
            f'<body class="slides-page"><main class="reveal"><div class="slides">{"".join(slides)}</div></main></body></html>\n')


def main():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import plan

    made = 0
    for name in plan.chapters(plan.read(ROOT / "book" / "parts.yml")):
        page = SITE / "book" / f"{name}.html"
        if page.is_file():
            page.with_name(f"{page.stem}-slides.html").write_text(deck(page.read_text(encoding="utf8"), f"book/{name}"), encoding="utf8")
            made += 1
    return made


if __name__ == "__main__":
    print(f"slides of {main()} chapters")
