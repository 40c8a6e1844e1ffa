"""Steps of a derivation: folded, one open at a time, each ending with what the machine verified.

```{step} Add up the slopes
:proves: eq-entropy-covariance
...
```

The build warns (and `-W` stops it) for a step whose equation has no check or stands on another page.
"""

from html import escape

from checks_ext import address, equations, note_dependencies
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

logger = logging.getLogger(__name__)

ENOUGH = 3  # steps on a page, from which a button unfolds them all


class StepNode(nodes.General, nodes.Element):
    """A folded step: its title, then its body; `proves` names its equations."""


class StepTitle(nodes.Part, nodes.TextElement):
    """What one clicks to unfold a step."""


class StepDirective(SphinxDirective):
    """```{step} Title``` with `:proves:`, the labels of the equations that it derives."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"proves": directives.unchanged_required}

    def run(self):
        labels = self.options.get("proves", "").split()
        if not labels or not all(label.startswith("eq-") for label in labels):
            raise self.error("a step must name in :proves: the equations that it derives, with labels that start "
                             f"with 'eq-'; got {' '.join(labels)!r}")
        for label in labels:
            note_dependencies(self.env, self.env.lab_checks.get(label, []))
        words, messages = self.state.inline_text(self.arguments[0], self.lineno)
        body = nodes.container(classes=["step-body"])
        self.state.nested_parse(self.content, self.content_offset, body)
        step = StepNode("", StepTitle("", "", *words), body, proves=labels, ids=[f"step-{labels[0]}"])
        self.set_source_info(step)
        return [step, *messages]


def resolve(app, doctree, docname):
    """Give each step the numbers of its equations, its checks and the way to the next; add the button."""
    steps, found, ledger = list(doctree.findall(StepNode)), equations(app.env), app.env.lab_checks
    proved = [label for step in steps for label in step["proves"]]
    for label in dict.fromkeys(proved):
        if found.get(label, (None,))[0] != docname:
            logger.warning("a step proves %r, which is no equation of this page", label, location=docname, type="lab")
        if label not in ledger:
            logger.warning("a step proves %r, which no notebook checks", label, location=docname, type="lab")
        if proved.count(label) > 1:
            logger.warning("more than one step proves %r", label, location=docname, type="lab")
    for step, after in zip(steps, [*steps[1:], None]):
        title, body = step
        following = [child.deepcopy() for child in after[0].children] if after else []
        title += nodes.raw("", numbers([found[label][1] for label in step["proves"] if label in found]), format="html")
        body += nodes.raw("", verified(app, docname, step["proves"]), format="html")
        if after:
            link = nodes.reference("", "", nodes.Text("Next step: "), *following, refid=after["ids"][0], classes=["step-next"])
            body += nodes.paragraph("", "", link, classes=["step-on"])
    if len(steps) >= ENOUGH:
        words = f"Unfold all {len(steps)} steps"
        button = (f'<p class="steps-all"><button type="button" data-fold="Fold all {len(steps)} steps" '
                  f'data-unfold="{words}">{words}</button></p>')
        chapter_section(steps[0]).insert(1, nodes.raw("", button, format="html"))


def chapter_section(node):
    """The section just below the title of the page in which a node stands."""
    found = [node]
    while found[-1].parent is not None:
        found.append(found[-1].parent)
    sections = [element for element in found if isinstance(element, nodes.section)]
    return sections[-2] if len(sections) > 1 else sections[-1]


def numbers(known):
    """The numbers of the equations that a step derives, for the eye and for the ear."""
    shown = " ".join(f"({number})" for number in known)
    said = f"derives equation{'s' * (len(known) > 1)} {', '.join(map(str, known))}"
    return f'<span class="step-number"><span aria-hidden="true">{shown}</span><span class="visually-hidden">, {said}</span></span>'


def verified(app, docname, labels):
    """What the machine verified of these equations, with the way to the cells."""
    items = []
    for label in labels:
        for check in app.env.lab_checks.get(label, []):
            caught = "".join(f"<li>{escape(name)}</li>" for name in check.caught)
            items.append(
                f'<li><p><span class="step-kind">{escape(check.kind)}, {escape(check.rule)}</span> '
                f'<a href="{address(app, docname, check)}">see the cell<span class="visually-hidden"> that checks {label}</span></a></p>'
                f'<ul class="step-caught" aria-label="Wrong variants caught">{caught}</ul></li>')
    return (f'<div class="step-checks"><p class="step-verified">What the machine verified, and the wrong variants it caught</p>'
            f'<ul>{"".join(items)}</ul></div>') if items else ""


def visit_step(self, node):
    self.body.append(f'<details class="step" name="steps" id="{node["ids"][0]}">')


def depart_step(self, node):
    self.body.append("</details>\n")


def visit_title(self, node):
    self.body.append("<summary>")


def depart_title(self, node):
    self.body.append("</summary>")


def setup(app):
    app.setup_extension("checks_ext")
    app.add_directive("step", StepDirective, override=True)  # of sphinx-design, an item of a list that no page uses
    app.add_node(StepNode, html=(visit_step, depart_step))
    app.add_node(StepTitle, html=(visit_title, depart_title))
    app.connect("doctree-resolved", resolve, priority=600)  # after the badges
    app.add_css_file("steps.css")
    app.add_js_file("steps.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
