"""The atlas: 150 papers, the claim that a lab tests, the verdict and its evidence.

Everything comes from one file, `book/papers.yml`, which is validated before any page is read.
Directives: {atlas} (the searchable table), {papers} (the papers of a chapter), {atlas-counts}.
"""

from html import escape
from pathlib import Path

import atlas_data
from atlas_data import VERDICTS
from docutils import nodes
from sphinx.errors import SphinxError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)


class AtlasError(SphinxError):
    category = "The atlas is not in order"


def load(app):
    """Read and validate the file before any page is read."""
    source, name = Path(app.srcdir), app.config.atlas_file
    try:
        papers = atlas_data.read(source / name)
    except FileNotFoundError:
        raise AtlasError(f"there is no file {name}") from None
    except ValueError as error:
        raise AtlasError(str(error)) from None
    if wrong := atlas_data.problems(papers, source / "notebooks"):
        raise AtlasError("\n".join(wrong))
    app.env.atlas_papers = papers
    if not hasattr(app.env, "atlas_pages"):
        app.env.atlas_pages = {}


def first_authors(app):
    """Name a paper whose other authors are left out "Cui et al.", in pages and in the list."""
    if "cite" not in app.env.domains:
        return
    from pybtex.database import Person

    for entry in app.env.get_domain("cite").bibdata.data.entries.values():
        names = entry.persons.get("author", [])
        if len(names) == 2 and str(names[1]) == "others":
            first = " ".join(names[0].last_names).strip("{}")
            entry.persons["author"] = [Person(last=f"{first} et al.")]


class AtlasNode(nodes.General, nodes.Element):
    """A place that is filled when all pages are read; `shows` says with what."""


class AtlasDirective(SphinxDirective):
    """```{atlas}```, ```{atlas-counts}``` and ```{papers} part/chapter```."""

    optional_arguments = 1

    def run(self):
        env, chapter = self.env, (self.arguments or [None])[0]
        if (chapter is not None) != (self.name == "papers"):
            raise self.error("papers takes one chapter; atlas and atlas-counts take nothing")
        if chapter and not any(p["chapter"] == chapter for p in env.atlas_papers):
            raise self.error(f"no paper of the atlas belongs to the chapter {chapter!r}")
        env.note_dependency(str(Path(env.srcdir) / env.config.atlas_file))
        env.atlas_pages.setdefault(env.docname, set()).add(self.name)
        return [AtlasNode("", shows=self.name, chapter=chapter)]


class View:
    """How papers look on one page: the addresses are relative to it."""

    def __init__(self, app, docname):
        self.app, self.env, self.docname = app, app.env, docname
        self.papers = app.env.atlas_papers
        self.checks = getattr(app.env, "lab_checks", {})

    def uri(self, target):
        return self.app.builder.get_relative_uri(self.docname, target)

    def chapter(self, paper):
        """The address of the paper's chapter, or None while there is no such page."""
        docname = f"{Path(self.env.config.atlas_file).parent}/{paper['chapter']}"
        return self.uri(docname) if docname in self.env.found_docs else None

    def atlas(self):
        """The address of the page with the whole table, or None."""
        pages = sorted(d for d, shows in self.env.atlas_pages.items() if "atlas" in shows)
        return self.uri(pages[0]) if pages else None

    def evidence(self, paper):
        """(label, address of the check's line or None) for each piece of evidence."""
        for label in paper["evidence"]:
            checks = self.checks.get(label, [])
            own = [c for c in checks if c.docname == f"notebooks/{paper['lab']}"]
            best = next(iter(own or checks), None)
            yield label, f"{self.uri(best.docname)}#{best.anchor}" if best else None

    # The section of a chapter page and the counts are docutils nodes.

    def section(self, chapter):
        box = nodes.bullet_list(classes=["papers"])
        for paper in self.papers:
            if paper["chapter"] == chapter:
                box += nodes.list_item("", *self._item(paper))
        return box

    def _item(self, paper):
        number, atlas = f"{paper['id']:03d}", self.atlas()
        yield nodes.paragraph(
            "", "", _link(number, atlas and f"{atlas}#paper-{number}", "paper-number"),
            nodes.Text(" "), _link(paper["title"], atlas_data.address(paper), "paper-title"),
            nodes.Text(" "), chip(paper["verdict"]), nodes.Text(" "),
            nodes.inline("", atlas_data.source(paper), classes=["paper-source"]),
            classes=["paper-head"])
        yield _line("Claim tested.", nodes.Text(paper["claim"]))
        links = []
        for label, uri in self.evidence(paper):
            links += [nodes.Text(", ")] * bool(links) + [_link(label, uri, "evidence")]
        if links:
            yield _line("Evidence.", *links)
        if paper["note"]:
            yield _line("Keep in mind.", nodes.Text(paper["note"]))

    def counts(self):
        box, atlas = nodes.bullet_list(classes=["atlas-counts"]), self.atlas()
        for verdict, slug in VERDICTS.items():
            count = sum(p["verdict"] == verdict for p in self.papers)
            words = [nodes.strong("", str(count)), nodes.Text(" "), chip(verdict)]
            if atlas:
                uri = f"{atlas}?verdict={slug}"
                words = [nodes.reference("", "", *words, refuri=uri, internal=True)]
            box += nodes.list_item("", nodes.paragraph("", "", *words))
        return box

    # The table is HTML: docutils tables have no scopes and no captions. The roles keep it a
    # table for a screen reader where a phone shows its rows as cards.

    def table(self):
        heads = ("Paper", "Chapter", "Claim tested", "Verdict", "Evidence", "Note")
        columns = "".join(f'<th scope="col" role="columnheader">{h}</th>' for h in ("No.", *heads))
        rows = "\n".join(self._row(paper) for paper in self.papers)
        options = "".join(f'<option value="{s}">{v}</option>' for v, s in VERDICTS.items())
        total = len(self.papers)
        return nodes.raw("", f"""<div class="atlas-box">
<form class="atlas-filter" role="search" aria-label="Papers" hidden>
<label>Find <input type="search" name="q" autocomplete="off"></label>
<label>Verdict <select name="verdict"><option value="">all</option>{options}</select>
</label>
<output class="atlas-shown" role="status" aria-live="polite">{total} of {total} papers</output>
</form>
<table class="atlas" role="table">
<caption>The papers of the book, what is tested of each, and how it came out.</caption>
<thead role="rowgroup"><tr role="row">{columns}</tr></thead>
<tbody role="rowgroup">
{rows}
</tbody></table></div>""", format="html")

    def _row(self, paper):
        number, slug = f"{paper['id']:03d}", VERDICTS[paper["verdict"]]
        cells = (
            f'{_anchor(paper["title"], atlas_data.address(paper))} '
            f'<span class="paper-source">{escape(atlas_data.source(paper))}</span>',
            _anchor(paper["chapter"], self.chapter(paper)),
            escape(paper["claim"]),
            f'<span class="verdict verdict-{slug}">{paper["verdict"]}</span>',
            ", ".join(_anchor(label, uri) for label, uri in self.evidence(paper)),
            escape(paper["note"]),
        )
        filled = "".join(f'<td role="cell">{cell}</td>' for cell in cells)
        return (f'<tr role="row" id="paper-{number}" data-verdict="{slug}">'
                f'<th scope="row" role="rowheader">{number}</th>{filled}</tr>')


def chip(verdict):
    return nodes.inline("", verdict, classes=["verdict", f"verdict-{VERDICTS[verdict]}"])


def _line(head, *rest):
    return nodes.paragraph("", "", nodes.strong("", head), nodes.Text(" "), *rest)


def _link(text, uri, name):
    if uri is None:
        return nodes.inline("", text, classes=[name])
    outside = uri.startswith("http")
    return nodes.reference("", text, refuri=uri, internal=not outside, classes=[name])


def _anchor(text, uri):
    return f'<a href="{escape(uri)}">{escape(text)}</a>' if uri else escape(text)


def fill(app, doctree, docname):
    view = View(app, docname)
    for node in list(doctree.findall(AtlasNode)):
        if node["shows"] == "papers":
            node.replace_self(view.section(node["chapter"]))
        else:
            node.replace_self(view.table() if node["shows"] == "atlas" else view.counts())


def consistency(app, env):
    """Evidence that no notebook carries is reported."""
    checks = getattr(env, "lab_checks", {})
    for paper in env.atlas_papers:
        for label in paper["evidence"]:
            if label not in checks:
                logger.warning("paper %s: no notebook has a check %r, which is named as evidence",
                               paper["id"], label, type="lab")


def outdated(app, env, added, changed, removed):
    """A new page or a new record changes the links of every page that shows papers."""
    return sorted(set(env.atlas_pages) & env.found_docs) if added or changed or removed else []


def purge(app, env, docname):
    env.atlas_pages.pop(docname, None)


def merge(app, env, docnames, other):
    env.atlas_pages.update({d: s for d, s in other.atlas_pages.items() if d in docnames})


def setup(app):
    app.add_config_value("atlas_file", "book/papers.yml", "env")
    for name in ("atlas", "atlas-counts", "papers"):
        app.add_directive(name, AtlasDirective)
    app.add_node(AtlasNode)
    app.connect("builder-inited", load)
    app.connect("builder-inited", first_authors, priority=900)  # after the entries are read
    app.connect("env-get-outdated", outdated)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("env-check-consistency", consistency)
    app.connect("doctree-resolved", fill)
    app.add_css_file("atlas.css")
    app.add_js_file("atlas.js", loading_method="defer")
    return {"version": "1", "env_version": 1, "parallel_read_safe": True,
            "parallel_write_safe": True}
