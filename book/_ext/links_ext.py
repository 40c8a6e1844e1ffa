"""Every place of the book has an address that stays, and a link to it that shows on hover and on focus.

Sections, equations and terms have theirs from Sphinx. Here steps are named by their title, solutions by
their exercise and pictures by what they show, so that no address changes when something is inserted
elsewhere; then a link is put into each step, claim, check, exercise, quiz, solution, figure and paper.
`links.js` brings the reader to a place that is folded, and copies an address.
"""

import re

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)

STEP_NUMBER = re.compile(r"^step \d+\W+", re.I)
# (the beginning of a place, with its id; what it is called). The link is put right behind it.
PLACES = [
    (re.compile(r'<div class="claim[^"]*" id="([^"]+)">'), "claim"),
    (re.compile(r'<div class="check-line[^"]*" id="([^"]+)">'), "check"),
    # A picture with controls has its own link, to the setting that the reader chose.
    (re.compile(r'<figure class="(?:explorable|picture)[^"]*" id="([^"]+)"[^>]*>'
                r'(?!(?:(?!</figure>).)*"explorable-link")', re.S), "figure"),
    (re.compile(r'<details class="[^"]*sd-dropdown[^"]*" id="([^"]+)"[^>]*>.*?</summary>\s*<div[^>]*>', re.S),
     "step"),
    (re.compile(r'<div class="[^"]*\bsolution\b[^"]*" id="([^"]+)">\s*<p class="admonition-title">.*?</p>',
                re.S), "solution"),
    (re.compile(r'<div class="[^"]*\bexercise\b[^"]*" id="([^"]+)">\s*<p class="admonition-title">.*?(?=</p>)',
                re.S), "exercise"),
    (re.compile(r'<div class="quiz [^"]*" id="([^"]+)"[^>]*>\s*<p class="admonition-title">.*?(?=</p>)', re.S), "quiz"),
]
ROWS = [  # rows of tables: the number of a paper and the cell of a symbol are the links
    (re.compile(r'(<tr [^>]*\bid="(paper-\d+)"[^>]*><th[^>]*>)(\d+)(</th>)'), "paper"),
    (re.compile(r'(<tr [^>]*\bid="(symbol-[^"]+)"[^>]*><td[^>]*><p>)(.*?)(</p></td>)', re.S), "symbol"),
]
PICTURE = re.compile(r'<figure class="picture">(?=<div class="picture-view" role="img" aria-label="([^"]*)")')


def slug(text):
    return "-".join(re.findall(r"[a-z0-9]+", text.lower()))


def name_steps(app, doctree):
    """Before cross-references are made: a step is named by its title, a solution by its exercise."""
    seen = {}
    for node in doctree.findall(nodes.container):
        title = node.children[0] if node.children else None
        if node.get("design_component") != "dropdown" or not isinstance(title, nodes.rubric) or title["ids"]:
            continue
        name = "step-" + slug(STEP_NUMBER.sub("", title.astext()))
        if name in seen:
            logger.warning("two steps of a page are called %r; give one a :name:", title.astext(),
                           location=title, type="links")
        seen[name] = title
        title["ids"].append(name)
    for node in doctree.findall(nodes.Element):
        if node.tagname == "solution_node" and "target_label" in node:
            node["ids"] = [f"solution-{node['target_label']}"]
        if isinstance(node, nodes.section) and node["ids"] in (["exercise-content"], ["solution-content"]):
            node["ids"] = [f"{node.parent['ids'][0]}-content"]  # was the same on every one


def link(anchor, what):
    return f'<a class="headerlink" href="#{anchor}" title="Link to this {what}">#</a>'


def linked(body):
    """The body of a page with a link at each place."""
    seen = {}

    def picture(match):
        name = "picture-" + "-".join(slug(match[1]).split("-")[:6])
        seen[name] = seen.get(name, 0) + 1
        again = f"-{seen[name]}" if seen[name] > 1 else ""
        return f'<figure class="picture" id="{name}{again}">'

    body = PICTURE.sub(picture, body)
    for place, what in PLACES:
        body = place.sub(lambda match: match[0] + link(match[1], what), body)
    for row, what in ROWS:
        body = row.sub(lambda m: f'{m[1]}<a class="row-link" href="#{m[2]}" title="Link to this {what}">'
                                 f"{m[3]}</a>{m[4]}", body)
    return body


def add_links(app, pagename, templatename, context, doctree):
    if context.get("body"):
        context["body"] = linked(context["body"])


def setup(app):
    app.connect("doctree-read", name_steps)
    app.connect("html-page-context", add_links)
    app.add_js_file("links.js", loading_method="defer")
    app.add_css_file("finding.css", priority=905)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
