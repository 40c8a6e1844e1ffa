"""What a symbol or a word means, where it stands: the notation page and the glossary, on every page.

At build time each formula is told which symbols of the notation page it holds, each labelled equation
gets one button that lists them, and the first use of a glossary term on a page becomes a link.
`meanings.js` shows the meanings; they lie in one file that it loads when a reader first asks.
"""

import json
import re
from pathlib import Path

import notation_data
import plan
import words
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import SphinxError
from sphinx.util.nodes import make_refnode

DATA = "meanings-data.js"
# In text a term is looked for only where nothing else can be meant: "check" and "score" are words.
TELLING = re.compile(r".*[ -].*|[A-Z]{3,}")
UNTOUCHED = (nodes.title, nodes.rubric, nodes.reference, nodes.literal, nodes.literal_block, nodes.raw,
             nodes.math, nodes.math_block, nodes.caption, nodes.strong, nodes.footnote,
             addnodes.pending_xref, addnodes.desc)


class NotationError(SphinxError):
    category = "The notation page is not in order"


def load(app):
    """Read the notation page before any other page is read."""
    try:
        page = Path(app.srcdir) / f"{app.config.notation_page}.md"
        parts = page.with_name("parts.yml")
        order = plan.chapters(plan.read(parts)) if parts.is_file() else ()
        app.env.notation = notation_data.read(page, order)
    except FileNotFoundError:
        raise NotationError(f"there is no page {app.config.notation_page}.md") from None
    except ValueError as error:
        raise NotationError(str(error)) from None


def part(docname):
    """The part of the book that a page belongs to (book/policy/..., notebooks/policy/...), or None."""
    pieces = docname.split("/")
    return pieces[1] if len(pieces) > 2 else None


def chapter(docname, order):
    """The chapter that a page or a lab belongs to, as part/chapter; its part where it belongs to none, or None."""
    inside = part(docname)
    name = inside and "/".join(docname.split("/")[1:])
    fitting = [each for each in order if name == each or inside and name.startswith(f"{each}-")]
    return max(fitting, key=len, default=inside)


def page_of(app, symbol):
    """The page of a symbol's first chapter, or None while it is not written."""
    if symbol.page is None:
        return None
    folder = Path(app.config.notation_page).parent
    docname = (folder / symbol.page).as_posix()
    return docname if docname in app.env.found_docs else None


def name_rows(app, doctree):
    """Each row of the notation page can be linked to."""
    if app.env.docname != app.config.notation_page:
        return
    rows = [row for table in doctree.findall(nodes.tbody) for row in table.findall(nodes.row)]
    symbols = app.env.notation.symbols
    if len(rows) != len(symbols):
        raise NotationError(f"{len(rows)} rows in its tables, {len(symbols)} of them with symbols")
    for row, symbol in zip(rows, symbols):
        row["ids"].append(symbol.identity)


def mark_symbols(app, doctree, docname):
    """Tell each formula what it holds: the class `means-3-7` names rows of the notation page."""
    table = app.env.notation
    where = chapter(docname, table.order)
    if where is None:
        return
    for node in list(doctree.findall(lambda n: isinstance(n, (nodes.math, nodes.math_block)))):
        numbers = table.meanings(node.astext(), where)
        if not numbers:
            continue
        name = "-".join(map(str, numbers))
        node["classes"].append(f"means-{name}")
        if isinstance(node, nodes.math_block) and node.get("label"):
            _add_button(node, name)


def _add_button(equation, name):
    """One button an equation, in the line of its badge: a tab stop a glyph would be hundreds a page."""
    button = (f'<button type="button" class="equation-symbols" data-means="{name}" aria-haspopup="dialog" '
              f'aria-expanded="false">symbols<span class="visually-hidden"> in equation '
              f'{equation.get("number", "")}</span></button>')
    place = equation.parent.index(equation) + 1
    after = equation.parent[place] if place < len(equation.parent) else None
    line = '<p class="check-badges">'
    if isinstance(after, nodes.raw) and after.astext().startswith(line):
        after.replace_self(nodes.raw("", line + button + after.astext().removeprefix(line), format="html"))
    else:
        equation.parent.insert(place, nodes.raw("", f"{line}{button}</p>", format="html"))


def terms(env):
    """{term: (docname, id)} of the glossary."""
    return {name: (docname, anchor) for (kind, name), (docname, anchor)
            in env.get_domain("std").objects.items() if kind == "term"}


def mark_terms(app, doctree, docname):
    """The first use of a glossary term on a page of a part leads to its meaning."""
    if part(docname) is None:
        return
    left = {name: place for name, place in terms(app.env).items() if TELLING.fullmatch(name)}
    for text in list(doctree.findall(nodes.Text)):
        if not left or text.parent is None or _touches(text):
            continue
        pieces, rest = [], str(text)
        while left and (found := _pattern(tuple(left)).search(rest)):
            name = next(n for n in left if n.lower() == found[1].lower())
            link = make_refnode(app.builder, docname, *left.pop(name), nodes.Text(found[0]))
            link["classes"].append("term")
            pieces += [nodes.Text(rest[:found.start()]), link]
            rest = rest[found.end():]
        if pieces:
            text.parent.replace(text, [piece for piece in (*pieces, nodes.Text(rest)) if piece.astext()])


def _pattern(names):
    """Any of the terms as a word; acronyms as they are written, the rest in either case."""
    longest = sorted(names, key=len, reverse=True)
    either = "|".join(re.escape(n) if n.isupper() else f"(?i:{re.escape(n)})" for n in longest)
    return re.compile(rf"(?<![\w-])({either})(?:s|es)?(?![\w-])")


def _touches(node):
    """True inside a title, a link, code or a formula."""
    node = node.parent
    while node is not None:
        if isinstance(node, UNTOUCHED):
            return True
        node = node.parent
    return False


def definitions(env):
    """{term: its definition as a node}, from the pages with a glossary."""
    names, found = {place: name for name, place in terms(env).items()}, {}
    for docname in sorted({docname for docname, _ in names}):
        for item in env.get_doctree(docname).findall(nodes.definition_list_item):
            for node in item.findall(nodes.term):  # by its id: its text may have other apostrophes
                found |= {names[docname, anchor]: item.children[-1] for anchor in node["ids"] if (docname, anchor) in names}
    return found


def data(app):
    """What meanings.js shows: one entry a row of the notation page, one a term."""
    def symbol(each):
        page = page_of(app, each)
        return {
            "symbol": words.from_markdown(each.cell), "meaning": words.from_markdown(each.meaning),
            "unit": words.from_markdown(each.unit), "chapter": each.chapter,
            "page": page and app.builder.get_target_uri(page),
            "at": f"{app.builder.get_target_uri(app.config.notation_page)}#{each.identity}",
            "heads": sorted({re.sub(r"[{}\s]", "", token) for form in each.forms for token in form.head}),
        }

    def term(name, node):
        docname, anchor = terms(app.env)[name]
        return f"{app.builder.get_target_uri(docname)}#{anchor}", {"term": name, "meaning": words.html(node)}

    return {"symbols": [symbol(each) for each in app.env.notation.symbols],
            "terms": dict(term(*item) for item in sorted(definitions(app.env).items()))}


def write(app, exception):
    if exception is None and app.builder.format == "html":
        text = json.dumps(data(app), ensure_ascii=False, separators=(",", ":"))
        (Path(app.outdir) / "_static" / DATA).write_text(f"window.bookMeanings={text};\n", encoding="utf8")


def setup(app):
    app.add_config_value("notation_page", "book/notation", "env")
    app.connect("builder-inited", load)
    app.connect("doctree-read", name_rows)
    app.connect("doctree-resolved", mark_symbols, priority=600)  # after the badges
    app.connect("doctree-resolved", mark_terms, priority=600)
    app.connect("build-finished", write, priority=400)  # before the site is looked over
    app.add_js_file("meanings.js", loading_method="defer")
    return {"version": "1", "env_version": 1, "parallel_read_safe": True, "parallel_write_safe": True}
