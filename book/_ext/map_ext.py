"""The map of the book: its parts, their chapters, what is written and what is tested.

Everything comes from the plan (parts.yml), the papers (papers.yml) and the table of contents.
Directives: {map} (all parts), {map} part (the chapters of one part), {labs} (all labs).
"""

from html import escape

import plan
from docutils import nodes
from pages_ext import book, extent, labs_of
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

import atlas_data


class MapError(SphinxError):
    category = "The map of the book is not in order"


def agree(app):
    """Every paper stands in a chapter of the plan, and every chapter of the plan has papers."""
    planned = set(plan.chapters(app.env.plan))
    treated = {paper["chapter"] for paper in app.env.atlas_papers}
    wrong = [f"a paper belongs to {name}, which the plan does not have" for name in sorted(treated - planned)]
    wrong += [f"no paper belongs to {name}, which the plan has" for name in sorted(planned - treated)]
    if wrong:
        raise MapError("\n".join(wrong))


class MapNode(nodes.General, nodes.Element):
    """A place that is filled when all pages are read; `shows` says with what."""


class MapDirective(SphinxDirective):
    """```{map}```, ```{map} part``` and ```{labs}```."""

    optional_arguments = 1

    def run(self):
        part = (self.arguments or [None])[0]
        if part and self.name == "labs":
            raise self.error(f"labs takes nothing; got {part!r}")
        if part and part not in {p["slug"] for p in self.env.plan}:
            raise self.error(f"the plan has no part {part!r}")
        return [MapNode("", shows=part or self.name)]


class View:
    """The map as one page shows it: the addresses are relative to that page."""

    def __init__(self, app, docname):
        self.env, self.docname = app.env, docname
        self.uri = lambda target: app.builder.get_relative_uri(docname, target)
        self.papers = {}
        for paper in app.env.atlas_papers:
            self.papers.setdefault(paper["chapter"], []).append(paper)
        pages = sorted(name for name, shows in app.env.atlas_pages.items() if "atlas" in shows)
        self.atlas = self.uri(pages[0]) if pages else None

    def page(self, name):
        """The page of a chapter or a part, or None while it is not written."""
        docname = f"{book(self.env)}/{name}"
        return docname if docname in self.env.found_docs else None

    def title(self, chapter):
        """The title of a chapter, with its link once it is written."""
        page = self.page(chapter["name"])
        if page is None:
            return escape(chapter["title"])
        return self.link(page)

    def link(self, docname):
        return f'<a href="{self.uri(docname)}">{escape(self.env.titles[docname].astext())}</a>'

    def counts(self, chapters):
        written = sum(self.page(c["name"]) is not None for c in chapters)
        papers = [paper for c in chapters for paper in self.papers[c["name"]]]
        tested = sum(paper["verdict"] != "planned" for paper in papers)
        return (f'<p class="map-counts"><span><b>{written}</b> of {len(chapters)} chapters written</span> '
                f'<span><b>{tested}</b> of {len(papers)} papers tested</span></p>')

    def dots(self, name):
        """One mark a paper; in words for those who cannot see them."""
        verdicts = [paper["verdict"] for paper in self.papers[name]]
        words = ", ".join(f"{verdicts.count(v)} {v}" for v in atlas_data.VERDICTS if v in verdicts)
        marks = "".join(f'<span class="verdict-dot verdict-{atlas_data.VERDICTS[v]}"></span>' for v in verdicts)
        return f'<span class="map-dots" role="img" aria-label="Papers: {words}">{marks}</span>'

    def parts(self):
        return f'<ol class="map-parts">{"".join(self.part(part) for part in self.env.plan)}</ol>'

    def part(self, part):
        page = self.page(f"{part['slug']}/index")
        title = escape(part["title"])
        head = f'<a href="{self.uri(page)}">{title}</a>' if page else title
        rows = "".join(
            f'<li class="map-chapter {self.state(c)}"><span class="map-title">{self.title(c)}</span> {self.dots(c["name"])}</li>'
            for c in part["chapters"])
        return (f'<li class="map-part {"open" if page else "planned"}" id="part-{part["slug"]}">'
                f'<h3><span class="map-number">{part["number"]}</span> {head}</h3>'
                f'<p class="map-about">{escape(part["about"])}</p><ol class="map-chapters">{rows}</ol>'
                f'{self.counts(part["chapters"])}</li>')

    def state(self, chapter):
        return "open" if self.page(chapter["name"]) else "planned"

    def chapters(self, slug):
        part = next(p for p in self.env.plan if p["slug"] == slug)
        cards = "".join(self.card(chapter) for chapter in part["chapters"])
        return f'{self.counts(part["chapters"])}<ol class="map-cards">{cards}</ol>'

    def card(self, chapter):
        page, state = self.page(chapter["name"]), self.state(chapter)
        lines = [f'<p class="map-head"><span class="map-number">{chapter["number"]}</span> '
                 f'<span class="map-state {state}">{state}</span></p>',
                 f'<h3>{self.title(chapter)}</h3>', f'<p class="map-question">{escape(chapter["question"])}</p>']
        if page:
            lines.append(f'<p class="map-extent">{_phrases(extent(self.env, page))}</p>')
            labs = "".join(f"<li>{self.link(lab)} {self._minutes(lab)}</li>" for lab in labs_of(self.env, page))
            lines.append(f'<p class="map-label">Labs</p><ul class="map-labs">{labs}</ul>' if labs else "")
        lines.append(f'<p class="map-label">Papers</p><ul class="map-papers">'
                     f'{"".join(self.paper(paper) for paper in self.papers[chapter["name"]])}</ul>')
        if chapter["needs"]:
            lines.append(f'<p class="map-needs">Read first: {", ".join(self.need(n) for n in chapter["needs"])}</p>')
        return f'<li class="map-card {state}" id="chapter-{chapter["slug"]}">{"".join(lines)}</li>'

    def _minutes(self, lab):
        minutes = self.env.page_facts[lab]["minutes"]
        return f'<span class="map-minutes">{minutes} min</span>' if minutes else ""

    def paper(self, paper):
        number, slug = f"{paper['id']:03d}", atlas_data.VERDICTS[paper["verdict"]]
        title = escape(paper["title"])
        name = f'<a href="{self.atlas}#paper-{number}">{title}</a>' if self.atlas else title
        return (f'<li><span class="verdict-dot verdict-{slug}" role="img" aria-label="{paper["verdict"]}:"></span> '
                f"<span>{name}</span></li>")

    def need(self, name):
        """A chapter to read first: a link to its page, or to its card, or its title alone."""
        chapter, part = plan.chapters(self.env.plan)[name], name.split("/")[0]
        if self.page(name):
            return self.title(chapter)
        home = self.page(f"{part}/index")
        title = escape(chapter["title"])
        return f'<a href="{self.uri(home)}#chapter-{chapter["slug"]}">{title}</a>' if home else title

    def labs(self):
        """All labs, chapter by chapter."""
        blocks = []
        for chapter in plan.chapters(self.env.plan).values():
            page = self.page(chapter["name"])
            if labs := labs_of(self.env, page) if page else []:
                rows = "".join(
                    f"<li><h3>{self.link(lab)}</h3><p class=\"map-question\">{escape(self.env.page_facts[lab]['promise'])}</p>"
                    f'<p class="map-extent">{_phrases(extent(self.env, lab))}</p></li>' for lab in labs)
                blocks.append(f'<p class="map-label">Chapter {chapter["number"]}: {self.link(page)}</p>'
                              f'<ul class="map-cards map-all-labs">{rows}</ul>')
        return "".join(blocks)


def _phrases(phrases):
    return " ".join(f"<span>{escape(phrase)}</span>" for phrase in phrases)


def fill(app, doctree, docname):
    view = View(app, docname)
    for node in list(doctree.findall(MapNode)):
        shows = node["shows"]
        html = view.parts() if shows == "map" else view.labs() if shows == "labs" else view.chapters(shows)
        node.replace_self(nodes.raw("", html, format="html"))


def setup(app):
    app.setup_extension("pages_ext")
    app.setup_extension("atlas_ext")
    app.add_directive("map", MapDirective)
    app.add_directive("labs", MapDirective)
    app.add_node(MapNode)
    app.connect("builder-inited", agree, priority=900)  # after the plan and the papers are read
    app.connect("doctree-resolved", fill)
    app.add_css_file("map.css")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
