"""Print the built book into one PDF: every page of `_toc.yml` in its order, bound with its links.

    python book/_tools/pdf.py

Chromium prints each page for itself, with its folded parts open and its figures drawn. The sheets are
then bound: links between pages stay inside the PDF, and it gets a title page, contents, an outline,
page labels and one tree of tags for those who do not see the page. The same site gives the same bytes.
"""

import io
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from html import escape, unescape
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import chromium
import yaml
from build import SITE, contents
from pypdf import PdfReader, PdfWriter
from pypdf.constants import PageLabelStyle
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    Fit,
    FloatObject,
    NameObject,
    NullObject,
    NumberObject,
    TextStringObject,
)

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "_build" / "entropy-lab.pdf"
PAPER, MARGIN = (210, 297), 20  # mm
PATIENCE = 60_000  # ms that a page may take to set its equations and to draw its figures
ORIGIN = "pdf-origin"

# What is not set or not drawn, in words; the page is then as it is printed.
FAULTS = r"""async (patience) => {
  const end = Date.now() + patience;
  const until = async (done) => {
    while (!done() && Date.now() < end) await new Promise((next) => setTimeout(next, 50));
    return done();
  };
  const formulas = [...document.querySelectorAll(".math")];
  if (formulas.length && !await until(() => document.documentElement.dataset.math === "ready")) {
    return ["its equations were not set"];
  }
  const figures = [...document.querySelectorAll("figure.explorable")];
  window.explorables?.show();
  await until(() => figures.every((figure) => figure.dataset.drawn));
  await document.fonts.ready;
  dispatchEvent(new Event("beforeprint"));
  return [
    ...formulas.filter((f) => !f.querySelector("mjx-container svg") || f.querySelector("[data-mjx-error]"))
      .map((f) => `the equation ${f.textContent.trim().slice(0, 60)} was not set`),
    ...figures.filter((f) => f.dataset.drawn !== "yes").map((f) => `the figure ${f.id} was not drawn`),
  ];
}"""

# Chromium writes a destination for an id only if the page itself links to it. A section may begin at the foot of
# one sheet and its heading on the next: the heading is the place.
ANCHORS = r"""([ids, origin]) => {
  for (const heading of document.querySelectorAll("section[id] > :is(h1, h2, h3, h4):first-child:not([id])")) {
    const section = heading.parentElement;
    heading.id = section.id;
    section.removeAttribute("id");
  }
  const top = document.createElement("div");
  top.id = origin;
  document.body.prepend(top);
  for (const id of [origin, ...ids]) {
    const link = document.createElement("a");
    link.href = "#" + encodeURIComponent(id);
    link.hidden = true;
    document.body.append(link);
  }
}"""

HEADINGS = r"""() => [...document.querySelectorAll("article :is(h1, h2, h3)")].map((heading) => {
  const words = heading.cloneNode(true);
  for (const part of words.querySelectorAll("a.headerlink, svg")) part.remove();
  const text = words.textContent.replace(/\s+/g, " ").trim();
  return [Number(heading.tagName[1]), text, heading.closest("section[id]")?.id ?? ""];
})"""

FRONT = """<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="{base}_static/book.css"><style>
@page {{ @top-left {{ content: none }} @bottom-center {{ content: counter(page, lower-roman) }} }}
@page :first {{ @bottom-center {{ content: none }} }}
body {{ margin: 0; font-size: 11pt; line-height: 1.45 }}
a {{ color: inherit }}
.cover {{ height: 247mm; display: flex; flex-direction: column; break-after: page }}
.cover h1 {{ font-size: 38pt; line-height: 1.1; margin: 62mm 0 5mm; letter-spacing: -0.02em }}
.cover .subtitle {{ font-size: 16pt; color: var(--quiet); margin: 0 0 14mm; max-width: 130mm }}
.cover .rest {{ margin-top: auto; font-size: 9.5pt; color: var(--quiet) }}
.cover .rest p {{ margin: 0 0 1.5mm }}
h2 {{ font-size: 20pt; margin: 0 0 6mm }}
ol {{ list-style: none; margin: 0; padding: 0 }}
li {{ break-inside: avoid; margin: 0 }}
li.d0 {{ font-weight: 600; margin: 5mm 0 1mm; break-after: avoid }}
li.d2 {{ margin-left: 7mm }}
li a {{ display: flex; align-items: baseline; gap: 2mm; text-decoration: none; padding: 0.6mm 0 }}
li a::before {{ content: ""; order: 1; flex: 1; min-width: 8mm; border-bottom: 1px dotted var(--line-strong) }}
li a span:last-child {{ order: 2; font-variant-numeric: tabular-nums lining-nums }}
</style></head><body>
<section class="cover"><h1>{name}</h1><p class="subtitle">{subtitle}</p><p>{authors}</p>
<div class="rest"><p>Version {version}, {date}</p><p>Text and figures: CC BY 4.0. Code: BSD-3-Clause.</p>
<p>Printed from the executable book at <a href="{address}">{address}</a>. Its figures move there; here each
stands at its first state, with the values of its controls below it.</p></div></section>
<section><h2>Contents</h2><ol>{rows}</ol></section></body></html>"""


class Fault(Exception):
    """Why there is no PDF, in one line."""


@dataclass
class Sheet:
    """A printed page of the book: its PDF, and what the binding needs to know of it."""

    name: str
    pdf: PdfReader
    headings: list = field(default_factory=list)  # (level, text, id)

    @property
    def title(self):
        return self.headings[0][1]


# ------------------------------------------------------------------------------------------ links


def inside(address, base):
    """(page, id) of an address inside the site, or None when it leads out. `base` ends with a slash."""
    whole, fragment = urldefrag(address)
    if not whole.startswith(base):
        return None
    page = whole.removeprefix(base).partition("?")[0]  # what a page would filter, paper shows in full
    return unquote(page).removesuffix(".html"), unquote(fragment)


def wanted(site, names):
    """{page: ids that links of these pages lead to}."""
    base, found = f"{site.as_uri()}/", {name: set() for name in names}
    for name in names:
        html = (site / f"{name}.html").read_text(encoding="utf8")
        for href in re.findall(r"""<a\s[^>]*?href=["']([^"']*#[^"']+)["']""", html):
            page, identity = inside(urljoin(f"{base}{name}.html", unescape(href)), base) or ("", "")
            if page in found:
                found[page].add(identity)
    return found


def places(pdf):
    """{id: (page number within the sheet, height)} of the destinations that Chromium wrote.

    Chromium may count the height without the margin of the paper: the origin says by how much it is off.
    """
    numbers = {page.indirect_reference.idnum: number for number, page in enumerate(pdf.pages)}
    found = {}
    for name, where in pdf.trailer["/Root"].get("/Dests", {}).items():
        where = where.get_object()
        found[unquote(name[1:])] = (numbers[where[0].idnum], float(where[3]))
    top = float(pdf.pages[0].mediabox.top) - MARGIN / 25.4 * 72
    shift = top - found.pop(ORIGIN, (0, top))[1]
    return {identity: (page, height + shift) for identity, (page, height) in found.items()}


def relink(writer, sheets, base):
    """Turn links into the site into links inside the PDF; count them.

    Returns {"inside": n, "outside": n, "lost": [(page, address), ...]}. A lost link leads to something
    that is not in the PDF; it stays as plain text.
    """
    where, first = {}, 0
    for sheet in sheets:
        top = float(sheet.pdf.pages[0].mediabox.top)
        where[sheet.name, ""] = (first, top)
        for identity, (page, height) in places(sheet.pdf).items():
            where[sheet.name, identity] = (first + page, height)
        first += len(sheet.pdf.pages)
    tally, number = {"inside": 0, "outside": 0, "lost": []}, 0
    for sheet in sheets:
        for page in writer.pages[number:number + len(sheet.pdf.pages)]:
            for link in [each.get_object() for each in page.get("/Annots", [])]:
                address = str(link["/A"].get("/URI", "")) if "/A" in link else ""
                target = inside(address, base) if address else (sheet.name, unquote(link["/Dest"][1:]))
                if target is None:
                    tally["outside"] += 1
                    continue
                for key in ("/A", "/Dest"):
                    link.pop(key, None)
                if target not in where:
                    tally["lost"].append((sheet.name, address or target[1]))
                    continue
                tally["inside"] += 1
                page_number, height = where[target]
                link[NameObject("/Dest")] = ArrayObject([
                    writer.pages[page_number].indirect_reference, NameObject("/XYZ"), NullObject(),
                    FloatObject(round(height, 2)), NullObject(),
                ])
        number += len(sheet.pdf.pages)
    return tally, where


# ---------------------------------------------------------------------------------------- binding


def renumber(pdf, offset, prefix):
    """Make the numbers and names by which a sheet's tags are found unique in the book; give the next number."""
    for number in range(1, pdf.trailer["/Size"]):
        thing = pdf.get_object(number)
        if not isinstance(thing, DictionaryObject):
            continue
        for key in ("/StructParent", "/StructParents"):
            if key in thing:
                thing[NameObject(key)] = NumberObject(thing[key] + offset)
        if "/ID" in thing:
            thing[NameObject("/ID")] = TextStringObject(prefix + thing["/ID"])
        if "/Headers" in thing:
            thing["/Headers"][:] = [TextStringObject(prefix + name) for name in thing["/Headers"]]
    tree = pdf.trailer["/Root"]["/StructTreeRoot"]
    entries = leaves(tree["/ParentTree"])
    keys = [NumberObject(key + offset) for key in entries[::2]]
    tree[NameObject("/ParentTree")] = numbered(zip(keys, entries[1::2]), "/Nums")
    names = leaves(tree["/IDTree"]) if "/IDTree" in tree else []
    keys = [TextStringObject(prefix + name) for name in names[::2]]
    tree[NameObject("/IDTree")] = numbered(zip(keys, names[1::2]), "/Names")
    return offset + tree["/ParentTreeNextKey"]


def leaves(node):
    """The entries of a number tree or a name tree: key, value, key, value, ..."""
    own = node["/Nums"] if "/Nums" in node else node["/Names"] if "/Names" in node else []
    kids = node["/Kids"] if "/Kids" in node else []
    return [*own, *(entry for kid in kids for entry in leaves(kid.get_object()))]


def numbered(pairs, kind):
    """A number tree ("/Nums") or name tree ("/Names") of one leaf."""
    ordered = sorted(pairs, key=lambda pair: pair[0])
    return DictionaryObject({NameObject(kind): ArrayObject(entry for pair in ordered for entry in pair)})


def join_tags(writer, sheets):
    """One tree of tags for the whole book, a part for each sheet. The pages are in the writer already."""
    root, book = DictionaryObject(), DictionaryObject()
    root_reference, book_reference = writer._add_object(root), writer._add_object(book)
    parts, parents, names = ArrayObject(), [], []
    for sheet in sheets:
        tree = sheet.pdf.trailer["/Root"]["/StructTreeRoot"].indirect_reference.clone(writer).get_object()
        tree["/K"].update({NameObject("/S"): NameObject("/Part"), NameObject("/P"): book_reference,
                           NameObject("/T"): TextStringObject(sheet.title)})
        parts.append(tree["/K"].indirect_reference)
        parents += leaves(tree["/ParentTree"])
        names += leaves(tree["/IDTree"])
    book.update({NameObject("/Type"): NameObject("/StructElem"), NameObject("/S"): NameObject("/Document"),
                 NameObject("/P"): root_reference, NameObject("/K"): parts})
    root.update({NameObject("/Type"): NameObject("/StructTreeRoot"), NameObject("/K"): book_reference,
                 NameObject("/ParentTree"): numbered(zip(parents[::2], parents[1::2]), "/Nums"),
                 NameObject("/IDTree"): numbered(zip(names[::2], names[1::2]), "/Names"),
                 NameObject("/ParentTreeNextKey"): NumberObject(parents[-2] + 1)})
    writer.root_object.update({
        NameObject("/StructTreeRoot"): root_reference,
        NameObject("/MarkInfo"): DictionaryObject({NameObject("/Marked"): BooleanObject(True)}),
    })


def without_repeats(order, titles):
    """The contents with a part named once: by its first page, where that has the name of the part."""
    shorter = []
    for depth, name, caption in order:
        if shorter and shorter[-1][1] is None and titles.get(name) == shorter[-1][2]:
            depth = shorter.pop()[0]
        shorter.append((depth, name, caption))
    return shorter


def add_outline(writer, sheets, order, where):
    """Bookmarks: parts, their pages, and the sections of these."""
    by_name, parents = {sheet.name: sheet for sheet in sheets}, []

    def add(depth, title, place):
        del parents[depth:]
        parents.append(writer.add_outline_item(
            title=title, page_number=place[0], fit=Fit.xyz(top=round(place[1], 2)),
            parent=parents[-1] if parents else None, is_open=depth == 0))

    for position, (depth, name, caption) in enumerate(order):
        if name is None:
            following = next(page for _, page, _ in order[position:] if page)
            add(depth, caption, where[following, ""])
            continue
        sheet = by_name[name]
        add(depth, sheet.title, where[name, ""])
        for level, text, identity in sheet.headings:
            if level > 1 and (name, identity) in where:
                add(min(depth + level - 1, len(parents)), text, where[name, identity])


def bind(sheets, order, facts, base):
    """(the book as a PdfWriter, the count of its links as `relink` gives it). The first sheet is the front."""
    writer, following = PdfWriter(), 0
    for number, sheet in enumerate(sheets):
        following = renumber(sheet.pdf, following, f"{number}-")
        for page in sheet.pdf.pages:
            added = writer.add_page(page, excluded_keys=["/Annots"])
            if "/StructParents" in page:  # a page without words has none
                added[NameObject("/StructParents")] = page["/StructParents"]
            if "/Annots" in page:
                added[NameObject("/Annots")] = page["/Annots"].clone(writer)
    join_tags(writer, sheets)
    tally, where = relink(writer, sheets, base)
    titles = {sheet.name: sheet.title for sheet in sheets}
    add_outline(writer, sheets, [(0, "", None), *without_repeats(order, titles)], where)
    front = len(sheets[0].pdf.pages)
    writer.set_page_label(0, front - 1, style=PageLabelStyle.LOWERCASE_ROMAN)
    writer.set_page_label(front, len(writer.pages) - 1, style=PageLabelStyle.DECIMAL)
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    writer.create_viewer_preferences().display_doctitle = True
    writer.metadata = {
        "/Title": facts["title"], "/Author": facts["authors"], "/Subject": facts["abstract"],
        "/Keywords": facts["keywords"], "/CreationDate": f"D:{facts['date'].replace('-', '')}000000Z",
    }
    writer.compress_identical_objects(remove_duplicates=False)
    return writer, tally


# --------------------------------------------------------------------------------------- printing


def facts_of(root=ROOT):
    """What the title page says, from CITATION.cff; the date is that of the last commit, where there is one."""
    cited = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf8"))
    command = ["git", "log", "-1", "--format=%cs"]
    try:
        date = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        date = str(cited["date-released"])
    return {
        "title": cited["title"], "version": str(cited["version"]), "date": date,
        "authors": ", ".join(author["name"] for author in cited["authors"]),
        "address": cited["repository-code"], "abstract": cited["abstract"].strip(),
        "keywords": ", ".join(cited["keywords"]),
    }


def press(tab, address, ids, number):
    """Print what stands at an address: (PdfReader, headings). Its pages count from `number`.

    Errors: Fault when an equation is not set or a figure is not drawn.
    """
    tab.goto(address)
    if faults := tab.evaluate(FAULTS, PATIENCE):
        raise Fault("; ".join(faults))
    headings = tab.evaluate(HEADINGS)
    tab.evaluate(ANCHORS, [sorted(ids), ORIGIN])
    width, height = PAPER
    tab.add_style_tag(content=f"@page {{ size: {width}mm {height}mm; margin: {MARGIN}mm }}"
                              f"html {{ counter-set: page {number - 1} }}")
    data = tab.pdf(prefer_css_page_size=True, print_background=True, tagged=True)
    return PdfReader(io.BytesIO(data)), headings


def front(tab, order, starts, titles, facts, base):
    """Print the title page and the contents."""
    rows = []
    for depth, name, caption in order:
        if name is None:
            rows.append(f'<li class="d0">{escape(caption)}</li>')
        else:
            rows.append(f'<li class="d{depth}"><a href="{base}{name}.html"><span>{escape(titles[name])}</span>'
                        f"<span>{starts[name]}</span></a></li>")
    name, _, subtitle = facts["title"].partition(": ")
    words = {key: escape(value) for key, value in {**facts, "name": name, "subtitle": subtitle}.items()}
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "front.html"
        page.write_text(FRONT.format(base=base, rows="".join(rows), **words), encoding="utf8")
        return press(tab, page.as_uri(), [], 1)


def print_sheets(site, order, facts, report=print):
    """Print the front and the pages of `order` (see `build.contents`): [Sheet, ...].

    Errors: Fault when the site is not built, there is no Chromium, or a page cannot be printed whole.
    """
    from playwright.sync_api import Error, sync_playwright

    names = [name for _, name, _ in order if name]
    if missing := [name for name in names if not (site / f"{name}.html").is_file()]:
        raise Fault(f"no {missing[0]}.html in {site}: run `make book` first")
    path = chromium.find()
    if path is None:
        raise Fault(chromium.HELP)
    base, ids = f"{site.as_uri()}/", wanted(site, names)
    sheets, starts, number = [], {}, 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=chromium.arguments())
        size = {"width": round((PAPER[0] - 2 * MARGIN) / 25.4 * 96), "height": 970}
        tab = browser.new_page(viewport=size, color_scheme="light", reduced_motion="reduce")
        tab.emulate_media(media="print")  # before anything is set or drawn: lines break to the printed width
        for count, name in enumerate(names, 1):
            try:
                pdf, headings = press(tab, f"{base}{name}.html", ids[name], number)
            except (Fault, Error) as error:
                raise Fault(f"{name}: {error}") from error
            sheets.append(Sheet(name, pdf, headings))
            starts[name] = number
            number += len(pdf.pages)
            report(f"[{count}/{len(names)}] {name}: {len(pdf.pages)} pages")
        titles = {sheet.name: sheet.title for sheet in sheets}
        pdf, _ = front(tab, without_repeats(order, titles), starts, titles, facts, base)
        browser.close()
    return [Sheet("", pdf, [(1, "Title and contents", "")]), *sheets]


def main():
    start = time.perf_counter()
    try:
        facts, order = facts_of(), contents()
        sheets = print_sheets(SITE, order, facts, report=lambda line: print(line, flush=True))
        writer, tally = bind(sheets, order, facts, f"{SITE.as_uri()}/")
        writer.write(TARGET)
    except (Fault, FileNotFoundError) as error:
        sys.exit(f"no PDF: {error}")
    for page, address in tally["lost"]:
        print(f"{page}: {address} leads to nothing in the PDF; it stays as text")
    print(f"{TARGET.relative_to(ROOT)}: {len(writer.pages)} pages, {TARGET.stat().st_size / 1e6:.1f} MB, "
          f"{tally['inside']} links inside, {tally['outside']} to the outside, {len(tally['lost'])} lost, "
          f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
