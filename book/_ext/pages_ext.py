"""What each page is: chapter, lab, part or reference; its promise, its minutes, what it needs to run.

Read once from the pages themselves: the paragraph under the title, the front matter of a chapter
(`minutes`, `hardware`), the first cell of a lab. Shown in the quiet line under a title, in the cards
that lead to the previous and the next page, and on the maps.
"""

import re
from pathlib import Path
from textwrap import shorten

import plan
from docutils import nodes
from sphinx.errors import SphinxError
from sphinx.util import logging

logger = logging.getLogger(__name__)

MINUTES = re.compile(r"\bAbout (\d+) minutes\b")
RUN_TIME = re.compile(r"\bruns in (?:about )?(\d+ (?:seconds|minutes|s|min))\b")
SENTENCE = re.compile(r".+?[.!?](?=\s|$)", re.S)
LONGEST = 190  # characters of a promise on a card


class PlanError(SphinxError):
    category = "The plan of the book is not in order"


def load(app):
    """Read the plan before any page is read."""
    try:
        app.env.plan = plan.read(Path(app.srcdir) / app.config.plan_file)
    except FileNotFoundError:
        raise PlanError(f"there is no file {app.config.plan_file}") from None
    except ValueError as error:
        raise PlanError(str(error)) from None
    if not hasattr(app.env, "page_facts"):
        app.env.page_facts = {}


def book(env):
    """The folder of the plan, in which the pages of the parts lie."""
    return str(Path(env.config.plan_file).parent)


def kind_of(env, docname):
    """'chapter', 'lab', 'part', 'front page' or 'reference'."""
    if docname == env.config.root_doc:
        return "front page"
    if docname.startswith("notebooks/"):
        return "lab"
    name = docname.removeprefix(f"{book(env)}/")
    if name in plan.chapters(env.plan):
        return "chapter"
    return "part" if name in {f"{part['slug']}/index" for part in env.plan} else "reference"


def note_facts(app, doctree):
    """Keep what a page says of itself."""
    env = app.env
    docname, about = env.docname, paragraphs(doctree)
    facts = {"kind": kind_of(env, docname), "promise": promise(about[0]) if about else "",
             "minutes": None, "hardware": "", "runs": ""}
    if facts["kind"] == "chapter":
        given = env.metadata[docname]
        facts["minutes"] = _whole(given.get("minutes"))
        facts["hardware"] = str(given.get("hardware", ""))
        if not facts["minutes"] or not facts["hardware"]:
            logger.warning("a chapter must begin with front matter that has minutes, a whole number, and hardware, "
                           "what the labs need; got %r and %r", given.get("minutes"), given.get("hardware"),
                           location=docname, type="pages")
    if facts["kind"] == "lab":
        text = " ".join(about[:4])
        minutes, runs = MINUTES.search(text), RUN_TIME.search(text)
        facts["minutes"] = int(minutes[1]) if minutes else None
        facts["runs"] = re.sub(r" s$", " seconds", runs[1]) if runs else ""
        if not minutes or not runs:
            logger.warning("the first cell of a lab must say 'About N minutes to work through. It runs in N seconds ...'",
                           location=docname, type="pages")
    env.page_facts[docname] = facts


def _whole(text):
    return int(text) if re.fullmatch(r"\d+", str(text)) else None


def paragraphs(doctree):
    """The texts of the paragraphs between the title and the first section, or of all where there is none."""
    section = next(iter(doctree.findall(nodes.section)), doctree)
    found = [child for child in section.children if isinstance(child, nodes.paragraph)]
    return [" ".join(node.astext().split()) for node in found or doctree.findall(nodes.paragraph)]


def promise(text):
    """What a page is about, in a line or two."""
    text = text.removeprefix("Question. ")
    if len(text) > LONGEST and (first := SENTENCE.match(text)):
        text = first[0]
    return shorten(text, LONGEST, placeholder=" …")


def labs_of(env, docname):
    """The labs that stand under a chapter in the table of contents."""
    return [name for name in env.toctree_includes.get(docname, []) if kind_of(env, name) == "lab"]


def chapter_of(env, lab):
    """(page, chapter) that a lab belongs to, or (None, None)."""
    for name, chapter in plan.chapters(env.plan).items():
        docname = f"{book(env)}/{name}"
        if lab in env.toctree_includes.get(docname, []):
            return docname, chapter
    return None, None


def extent(env, docname):
    """What reading a page or working through a lab takes, as short phrases."""
    facts = env.page_facts.get(docname, {})
    phrases = [f"{facts['minutes']} minutes"] if facts.get("minutes") else []
    if facts.get("kind") == "chapter":
        labs = labs_of(env, docname)
        minutes = sum(env.page_facts[lab]["minutes"] or 0 for lab in labs)
        if labs:
            phrases.append(f"{len(labs)} lab{'s' * (len(labs) > 1)}, {minutes} minutes")
        phrases.append(f"runs on {facts['hardware']}")
    if facts.get("runs"):
        phrases.append(f"runs in {facts['runs']} on a CPU")
    return phrases


def line(app, doctree, docname):
    """Put the quiet line under the title of a chapter and of a lab."""
    env = app.env
    kind = env.page_facts.get(docname, {}).get("kind")
    title = next(iter(doctree.findall(nodes.title)), None)
    if kind not in ("chapter", "lab") or title is None:
        return
    if kind == "chapter":
        chapter = plan.chapters(env.plan)[docname.removeprefix(f"{book(env)}/")]
        first = [nodes.Text(f"Chapter {chapter['number']}")]
    else:
        home, chapter = chapter_of(env, docname)
        first = [nodes.Text("Lab")]
        if home:
            uri = app.builder.get_relative_uri(docname, home)
            first = [nodes.Text("Lab of "), nodes.reference("", f"chapter {chapter['number']}", refuri=uri, internal=True)]
    parts = [nodes.inline("", "", *first)] + [nodes.inline("", phrase) for phrase in extent(env, docname)]
    spaced = [node for part in parts for node in (nodes.Text(" "), part)][1:]
    title.parent.insert(title.parent.index(title) + 1, nodes.paragraph("", "", *spaced, classes=["page-line"]))


def neighbours(app, pagename, templatename, context, doctree):
    """What the cards of the previous and the next page say."""
    env = app.env
    for side, name in zip(("prev", "next"), getattr(app.builder, "relations", {}).get(pagename, (None,) * 3)[1:]):
        if name in env.page_facts and context.get(side):
            facts = env.page_facts[name]
            minutes = f"{facts['minutes']} minutes" if facts["minutes"] else ""
            context[side] = {**context[side], "kind": facts["kind"], "promise": facts["promise"], "minutes": minutes}


def purge(app, env, docname):
    env.page_facts.pop(docname, None)


def merge(app, env, docnames, other):
    env.page_facts.update({name: facts for name, facts in other.page_facts.items() if name in docnames})


def setup(app):
    app.add_config_value("plan_file", "book/parts.yml", "env")
    app.connect("builder-inited", load)
    app.connect("doctree-read", note_facts)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("doctree-resolved", line, priority=600)
    app.connect("html-page-context", neighbours)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
