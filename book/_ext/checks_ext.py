"""Badges on equations, claims and quoted numbers, from the records in the committed notebooks.

The build warns (and `-W` stops it) for an `eq-` label without a check, for a check of a label
that no page has, and for a quoted number that no check asserts.
"""

from dataclasses import replace
from html import escape
from pathlib import Path

import records
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

logger = logging.getLogger(__name__)


def collect(app):
    """Read all records before any page is read."""
    source = Path(app.srcdir)
    docnames = [str(p.relative_to(source).with_suffix("")) for p in (source / "notebooks").rglob("*.ipynb")
                if ".ipynb_checkpoints" not in p.parts]
    app.env.lab_checks = records.collect(source, docnames)
    if not hasattr(app.env, "lab_claims"):
        app.env.lab_claims = {}


def note_dependencies(env, checks):
    for check in checks:
        env.note_dependency(str(Path(env.srcdir) / f"{check.docname}.ipynb"))


def part_of(docname):
    """The part that a lab belongs to, "policy" of notebooks/policy/shaping."""
    return docname.removeprefix("notebooks/").split("/")[0]


def address(app, docname, check):
    """The relative address of a check's line, seen from a page."""
    return f"{app.builder.get_relative_uri(docname, check.docname)}#{check.anchor}"


def badge(app, docname, checks):
    """A quiet link from an equation or a claim to its check."""
    words = "checked" if len(checks) == 1 else f"checked, {len(checks)} ways"
    title = escape(" | ".join(c.summary for c in checks))
    return f'<a class="check-badge" href="{address(app, docname, checks[0])}" title="{title}">✓ {words}</a>'


class NumberRole(SphinxRole):
    """{num}`num-label`: the number as a check quotes it, linked to that check."""

    def run(self):
        label = self.text.strip()
        found = [c for c in self.env.lab_checks.get(label, []) if c.quote is not None]
        note_dependencies(self.env, found)
        if not found:
            logger.warning("no check quotes the number %r", label, location=self.get_location(), type="lab")
            return [nodes.literal(text=f"[{label}]")], []
        uri = address(self.env.app, self.env.docname, found[0])
        node = nodes.reference("", records.minus(found[0].quote), refuri=uri, internal=True, classes=["check-number"])
        node["reftitle"] = found[0].summary
        return [node], []


class ClaimDirective(SphinxDirective):
    """```{claim} claim-label``` with a statement in words that a check tests."""

    required_arguments = 1
    has_content = True

    def run(self):
        label = self.arguments[0]
        if not label.startswith("claim-"):
            raise self.error(f"a claim's label must start with 'claim-'; got {label!r}")
        claims = self.env.lab_claims
        if label in claims and claims[label] != self.env.docname:
            raise self.error(f"the claim {label!r} stands in {claims[label]} already")
        claims[label] = self.env.docname
        checks = self.env.lab_checks.get(label, [])
        note_dependencies(self.env, checks)
        box = nodes.container(classes=["claim"], ids=[label])
        self.state.nested_parse(self.content, self.content_offset, box)
        if checks:
            html = f'<p class="check-badges">{badge(self.env.app, self.env.docname, checks)}</p>'
            box += nodes.raw("", html, format="html")
        return [box]


class CheckDirective(SphinxDirective):
    """```{check} eq-label```: a checked equation, the cell that checks it, and what that cell printed."""

    required_arguments = 1

    def run(self):
        label = self.arguments[0]
        checks = self.env.lab_checks.get(label, [])
        if not label.startswith("eq-") or not checks:
            raise self.error(f"no notebook checks the equation {label!r}")
        note_dependencies(self.env, checks)
        notebook = records.read(Path(self.env.srcdir) / f"{checks[0].docname}.ipynb")
        code = nodes.literal_block("", records.cell_of(notebook, label), language="python")
        return [CheckNode("", code, label=label)]


class CheckNode(nodes.General, nodes.Element):
    """Filled when all pages are read; holds the code of the cell."""


class ResultsDirective(SphinxDirective):
    """```{results} part```: every check of a part's labs in one table.

    The part is the folder of its labs. Without one: a row for each lab of the book, with what it checks.
    """

    optional_arguments = 1

    def run(self):
        part = self.arguments[0] if self.arguments else None
        checks = [c for each in self.env.lab_checks.values() for c in each if part in (None, part_of(c.docname))]
        if not checks:
            raise self.error(f"no lab of {part or 'the book'} has a check")
        note_dependencies(self.env, checks)
        return [ResultsNode("", part=part)]


class ResultsNode(nodes.General, nodes.Element):
    """Filled when all pages are read."""


class CountsRole(SphinxRole):
    """{lab-count}`checks`, `labels` or `variants`: how much is checked, for the front page."""

    def run(self):
        ledger = self.env.lab_checks
        everything = [c for checks in ledger.values() for c in checks]
        note_dependencies(self.env, everything)
        counts = {"checks": len(everything), "variants": sum(len(c.caught) for c in everything),
                  "equations": sum(label.startswith("eq-") for label in ledger),
                  "numbers": sum(label.startswith("num-") for label in ledger),
                  "claims": sum(label.startswith("claim-") for label in ledger)}
        if self.text not in counts:
            logger.warning("lab-count knows %s, not %r", ", ".join(counts), self.text,
                           location=self.get_location(), type="lab")
            return [nodes.Text("?")], []
        return [nodes.Text(str(counts[self.text]))], []


def equations(env):
    """{label: (docname, number)} of all labelled equations."""
    return dict(env.get_domain("math").equations)


def home(app, docname, label):
    """The address of the equation, claim or page that a check belongs to, or None."""
    found = equations(app.env)
    if label in found:
        return f"{app.builder.get_relative_uri(docname, found[label][0])}#equation-{label}"
    if label in app.env.lab_claims:
        return f"{app.builder.get_relative_uri(docname, app.env.lab_claims[label])}#{label}"
    return None


def consistency(app, env):
    """Every `eq-` and claim has its check, and every check has its place."""
    ledger, found = env.lab_checks, equations(env)
    for label, (docname, _) in sorted(found.items()):
        if not label.startswith(("eq-", "def-")):
            logger.warning("equation label %r must start with 'eq-' (checked) or 'def-' (a definition)",
                           label, location=docname, type="lab")
        if label.startswith("eq-") and label not in ledger:
            logger.warning("equation %r has no check in any notebook", label, location=docname, type="lab")
    for label, docname in sorted(env.lab_claims.items()):
        if label not in ledger:
            logger.warning("claim %r has no check in any notebook", label, location=docname, type="lab")
    for label, checks in sorted(ledger.items()):
        if label.startswith("eq-") and label not in found or label.startswith("claim-") and label not in env.lab_claims:
            logger.warning("the check %r belongs to no equation or claim of a page", label,
                           location=checks[0].docname, type="lab")


def resolve(app, doctree, docname):
    """Put the badges behind equations, the addresses into check lines, the rows into the table."""
    ledger = app.env.lab_checks
    for node in list(doctree.findall(nodes.math_block)):
        checks = ledger.get(node.get("label") or "", [])
        if checks:
            html = f'<p class="check-badges">{badge(app, docname, checks)}</p>'
            node.parent.insert(node.parent.index(node) + 1, nodes.raw("", html, format="html"))
    for node in list(doctree.findall(CheckNode)):
        node.replace_self(shown(app, docname, node))
    for node in list(doctree.findall(nodes.raw)):
        if 'href="check:' in node.astext():
            node.children = [nodes.Text(_with_address(app, docname, node.astext()))]
    for node in list(doctree.findall(ResultsNode)):
        node.replace_self(nodes.raw("", results_table(app, docname, node["part"]), format="html"))


def shown(app, docname, node):
    """An equation of another page with its badge, its cell and the line that the cell printed."""
    label = node["label"]
    checks = app.env.lab_checks[label]
    box = nodes.container(classes=["check-shown"])
    home_page = equations(app.env).get(label, (None,))[0]
    if home_page is None:
        logger.warning("no page has the equation %r", label, location=docname, type="lab")
        return box
    source = app.env.get_doctree(home_page).findall(nodes.math_block)
    text = next(block.astext() for block in source if block.get("label") == label)
    html = f'<p class="check-badges">{badge(app, docname, checks)}</p>'
    box += nodes.math_block("", text, nowrap=False, number=None, label=None, docname=docname)
    box += nodes.raw("", html, format="html")
    box += node.children[0].deepcopy()
    first = replace(checks[0], anchor=f"shown-{label}")
    box += nodes.raw("", _with_address(app, docname, records.check_line(first)), format="html")
    return box


def _with_address(app, docname, html):
    start = html.index('href="check:') + len('href="check:')
    label = html[start:html.index('"', start)]
    uri = home(app, docname, label)
    return html.replace(f' href="check:{label}"', f' href="{uri}"' if uri else "")


def results_table(app, docname, part):
    """All checks of a part, or without a part one row for each lab, as HTML."""
    ledger = sorted(app.env.lab_checks.items())
    if part is None:
        return table("Checks of each lab", "What the committed notebooks record, lab by lab.",
                     ("Lab", "Equations", "Claims", "Numbers", "Checks", "Wrong variants caught"),
                     lab_rows(app, docname, ledger))
    rows = []
    for label, checks in ledger:
        uri = home(app, docname, label)
        name = f'<a href="{uri}">{label}</a>' if uri else label
        for check in checks:
            if part_of(check.docname) == part:
                quote = f"; quoted as {escape(records.minus(check.quote))}" if check.quote else ""
                kind = f'<a href="{address(app, docname, check)}">{escape(check.kind)}</a>'
                rows.append((name if check is checks[0] else label, kind, f"{escape(check.rule)}{quote}", escape(", ".join(check.caught)), check.margin))
    return table("All checks of this part", "Every check of this part, as the committed notebooks record it. "
                 "The name leads to the page, the kind to the lab.",
                 ("Equation, claim or number", "Kind", "Rule", "Wrong variants caught", "Margin"), rows)


def lab_rows(app, docname, ledger):
    """The lab, what its checks are about (each label once), how many there are, how many variants they catch."""
    labs = {}
    for label, checks in ledger:
        for check in checks:
            labs.setdefault(check.docname, []).append((label, check))
    order = {name: place for place, name in enumerate(reading_order(app.env))}
    for lab in sorted(labs, key=lambda name: (order.get(name, len(order)), name)):
        labels = {label for label, _ in labs[lab]}
        kinds = (sum(label.startswith(kind) for label in labels) for kind in ("eq-", "claim-", "num-"))
        title = escape(app.env.titles[lab].astext())
        yield (f'<a href="{app.builder.get_relative_uri(docname, lab)}">{title}</a>', *map(str, kinds),
               str(len(labs[lab])), str(sum(len(check.caught) for _, check in labs[lab])))


def reading_order(env, page=None):
    """All pages as the contents list them."""
    for child in env.toctree_includes.get(page or env.config.root_doc, ()):
        yield child
        yield from reading_order(env, child)


def table(name, caption, head, rows):
    head = "".join(f'<th scope="col">{t}</th>' for t in head)
    body = "".join(f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
                   for first, *rest in rows)
    return (f'<div class="table-scroll" tabindex="0" role="region" aria-label="{name}"><table class="results">'
            f"<caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def purge(app, env, docname):
    env.lab_claims = {k: v for k, v in getattr(env, "lab_claims", {}).items() if v != docname}


def merge(app, env, docnames, other):
    env.lab_claims.update({k: v for k, v in other.lab_claims.items() if v in docnames})


def setup(app):
    app.add_role("num", NumberRole())
    app.add_role("lab-count", CountsRole())
    app.add_directive("claim", ClaimDirective)
    app.add_directive("check", CheckDirective)
    app.add_directive("results", ResultsDirective)
    app.add_node(CheckNode)
    app.add_node(ResultsNode)
    app.connect("builder-inited", collect)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("env-check-consistency", consistency)
    app.connect("doctree-resolved", resolve)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
