"""The search: one index of everything with an address, written when all pages are read.

`find-index.js` holds pages, sections with their text, equations, claims, checks, figures, exercises,
symbols, terms, papers and functions. It is a script, because a page from disk may not fetch, and
`find.js` loads it when a reader first opens the search. It takes the place of Sphinx's own index, which
knows pages but neither sections nor formulas.
"""

import json
import re
from pathlib import Path

import atlas_data
import meanings_ext
import words
from docutils import nodes
from sphinx import addnodes

INDEX = "find-index.js"
REPLACED = ("searchindex.js", "_static/searchtools.js", "_static/language_data.js")
FIGURE = re.compile(r'<figure class="explorable" id="([^"]+)"><div [^>]*aria-label="([^"]*)"')
WHEN = re.compile(r"([\w-]+, \d+ minutes: )?(.+)", re.DOTALL)  # grade and time stand before an exercise's own title
SENTENCE = re.compile(r"(?<=[.!?:]) ")


class Index:
    """Entries of the search: (kind, title, further names, text, number of the page, anchor)."""

    def __init__(self, app):
        self.app, self.env = app, app.env
        self.pages, self.entries, self.numbers = [], [], {}

    def page(self, docname):
        if docname not in self.numbers:
            self.numbers[docname] = len(self.pages)
            title = words.plain(self.env.titles[docname])
            self.pages.append([self.app.builder.get_target_uri(docname), title])
        return self.numbers[docname]

    def add(self, kind, title, names, text, docname, anchor=""):
        self.entries.append([kind, title, names, text, self.page(docname), anchor])

    def read(self, docname):
        """Everything of one page that its text holds."""
        doctree = self.env.get_doctree(docname)
        for section in doctree.findall(nodes.section):
            self._section(docname, section)
        for node in doctree.findall(nodes.math_block):
            if node.get("label"):
                self._equation(docname, node)
        for node in doctree.findall(nodes.container):
            if "claim" in node["classes"]:
                label = node["ids"][0]
                self.add("Claims", _name(label), label, words.plain(node), docname, label)
        for node in doctree.findall(nodes.Element):
            if node.tagname in ("exercise_node", "exercise_enumerable_node"):
                title = next((words.plain(n) for n in node.findall(nodes.Element) if "subtitle" in n.tagname), "")
                text = words.plain(nodes.container("", *(n.deepcopy() for n in node.children[1:])))
                when, title = WHEN.fullmatch(title or _name(node["ids"][0])).groups()
                self.add("Exercises", title[0].upper() + title[1:], node["ids"][0], f"{when or ''}{text}", docname, node["ids"][0])
            if node.tagname == "QuizNode":  # the question, not the answer
                self.add("Exercises", words.plain(node[0][1]), node["ids"][0], words.plain(node[1]), docname, node["ids"][0])
        for node in doctree.findall(nodes.raw):
            for anchor, words_for_it in FIGURE.findall(node.astext()):
                self.add("Figures", _name(anchor), anchor, words_for_it, docname, anchor)

    def _section(self, docname, section):
        title = next(section.findall(nodes.title), None)
        if title is None or not section["ids"]:
            return
        own = [child for child in section.children if not isinstance(child, (nodes.section, nodes.title))]
        text = " ".join(filter(None, (words.plain(child) for child in own if not _elsewhere(child))))
        anchor = "" if isinstance(section.parent, nodes.document) else section["ids"][0]
        self.add("Pages", words.plain(title), "", text, docname, anchor)

    def _equation(self, docname, node):
        label, formula = node["label"], words.readable(node.astext())
        place = node.parent.index(node)
        before = next((n for n in reversed(node.parent.children[:place]) if isinstance(n, nodes.paragraph)), None)
        sentence = SENTENCE.split(words.plain(before))[-1] if before is not None else ""
        section = node
        while section.parent is not None and not isinstance(section, nodes.section):
            section = section.parent
        heading = next(section.findall(nodes.title), None)
        text = f"{formula}\n{sentence}\n{words.plain(heading) if heading is not None else ''}"
        self.add("Equations", f"{_name(label)} ({node['number']})", label, text, docname, f"equation-{label}")

    def read_the_rest(self):
        """What no single page holds: symbols, terms, papers, checks, functions."""
        env = self.env
        for symbol in env.notation.symbols:
            forms = ", ".join(words.readable(form.tex) for form in symbol.forms) or words.line_from_markdown(symbol.cell)
            names = " ".join(form.tex for form in symbol.forms)
            text = f"{words.line_from_markdown(symbol.meaning)} (first in {symbol.chapter})"
            self.add("Symbols", forms, names, text, self.app.config.notation_page, symbol.identity)
        places = meanings_ext.terms(env)
        for name, definition in meanings_ext.definitions(env).items():
            self.add("Terms", name, "", words.plain(definition), *places[name])
        for label, checks in env.lab_checks.items():
            self.add("Checks", _name(label), label, checks[0].summary, checks[0].docname, checks[0].anchor)
        atlas = next((d for d, shows in sorted(env.atlas_pages.items()) if "atlas" in shows), None)
        for paper in env.atlas_papers if atlas else ():
            names = f"{paper['id']:03d} {paper['slug']} {paper.get('arxiv', '')} {paper.get('doi', '')}"
            text = f"{atlas_data.source(paper)}: {paper['claim']}"
            self.add("Papers", paper["title"], names, text, atlas, f"paper-{paper['id']:03d}")
        for name, _, kind, docname, anchor, _ in env.get_domain("py").get_objects():
            if kind in ("function", "class", "method"):
                self.add("Functions", name, "", kind, docname, anchor)


def _name(label):
    """The words of a label: eq-entropy-covariance is Entropy covariance."""
    return label.partition("-")[2].replace("-", " ").capitalize()


def _elsewhere(node):
    """True for what has entries of its own: claims, exercises, glossaries, functions, the atlas."""
    return (isinstance(node, (addnodes.glossary, addnodes.desc, nodes.raw)) or "claim" in node.get("classes", [])
            or node.tagname.startswith(("exercise", "Quiz")))


def index(app):
    found = Index(app)
    for docname in sorted(app.env.found_docs):
        found.read(docname)
    found.read_the_rest()
    return {"pages": found.pages, "entries": found.entries}


def write(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    text = json.dumps(index(app), ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "_static" / INDEX).write_text(f"window.bookIndex={text};\n", encoding="utf8")
    for name in REPLACED:
        (Path(app.outdir) / name).unlink(missing_ok=True)


def setup(app):
    app.setup_extension("meanings_ext")
    app.connect("build-finished", write, priority=400)  # before the site is looked over
    app.add_js_file("find.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
