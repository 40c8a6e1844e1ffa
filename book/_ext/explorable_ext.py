"""Pictures that move: notebook outputs become plain HTML, and pages borrow explorables from labs.

Charts are compiled here (charts.py). A page carries small ones itself. Larger ones go to files that pages share and that load with the
picture: a script each, because a page opened from disk may load scripts and nothing else.
"""

import base64
import functools
import gzip
import hashlib
import json
import re
import shutil
from pathlib import Path

import charts
import records
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from labutils import stages

logger = logging.getLogger(__name__)


def rewrite_outputs(app, docname, source):
    """Before a notebook is parsed, turn the outputs that the book knows into HTML."""
    if (Path(app.srcdir) / f"{docname}.ipynb").is_file():
        notebook = json.loads(source[0])
        records.to_html(notebook, docname)
        source[0] = json.dumps(notebook)


class ExplorableDirective(SphinxDirective):
    """```{explorable} part/chapter#name```: the explorable of a lab, in a page."""

    required_arguments = 1

    def run(self):
        lab, _, name = self.arguments[0].partition("#")
        path = Path(self.env.srcdir) / "notebooks" / f"{lab}.ipynb"
        if not path.is_file():
            raise self.error(f"no notebook notebooks/{lab}.ipynb")
        self.env.note_dependency(str(path))
        found = records.explorable(records.read(path), name)
        if found is None:
            raise self.error(f"notebooks/{lab}.ipynb has no explorable {name!r}")
        return [nodes.raw("", records.explorable_figure(*found), format="html")]


SPEC = re.compile(
    r'(<div class="explorable-view"[^>]*)(></div>(?:(?!</figure>).)*)'
    r'<script type="application/json" class="explorable-spec">(.*?)</script>', re.S)
INLINE = 2000  # characters that a page carries itself


@functools.cache
def compiled(spec):
    """A chart as its page takes it, and its heights on a wide page and on a narrow one; a lab and a page may share it."""
    chart = charts.compiled(json.loads(spec))
    return json.dumps(chart, sort_keys=True, ensure_ascii=False, separators=(",", ":")), charts.heights(chart)


def share(html):
    """A page with its charts compiled, the place kept that each will take, and large ones moved out, and {file name: script} of what was moved.

    The name of a file is a hash of what is in it. The chart in it is packed: 90 % less, from disk too.

    Errors: ValueError when a chart asks for what the pages' Vega does not have.
    """
    files = {}

    def move(match):
        view, controls, spec = match.groups()
        chart, (wide, narrow) = compiled(spec)
        before = f'{view} style="--wide: {wide}px; --narrow: {narrow}px"{controls}'
        if len(chart) <= INLINE:
            return f'{before}<script type="application/json" class="explorable-spec">{records.in_script(chart)}</script>'
        name = hashlib.sha256(chart.encode()).hexdigest()[:16]
        packed = base64.b64encode(gzip.compress(chart.encode(), mtime=0)).decode()
        files[f"{name}.js"] = f'explorables.receive("{name}", "{packed}");\n'
        return f'{before}<script type="text/plain" class="explorable-spec" data-name="{name}"></script>'

    return SPEC.sub(move, html), files


def stage_script(name):
    """The module of a stage as an ordinary script: pages opened from disk may load no modules."""
    module, found = re.subn(r"^export default (\{.*\});$", rf'explorables.stage("{name}", \1);',
                            stages.source(name), flags=re.M)
    if found != 1:
        raise ValueError(f"the stage {name} must end in one line `export default {{ ... }};`; found {found}")
    return f"(() => {{\n\"use strict\";\n{module}}})();\n"


def share_all(app, exception):
    """When all pages are written and looked through for outside addresses: compile their charts and move them out."""
    if exception is not None or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "_static" / "stages"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(stages.FOLDER / "stage.css", folder)
    for name in stages.NAMES:
        (folder / f"{name}.js").write_text(stage_script(name), encoding="utf8")
    folder = Path(app.outdir) / "_static" / "charts"
    for path in sorted(Path(app.outdir).rglob("*.html")):
        html = path.read_text(encoding="utf8")
        try:
            shared, files = share(html)
        except ValueError as error:
            logger.warning("%s: %s", path.relative_to(app.outdir), error, type="explorable")
            continue
        for name, script in files.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(script, encoding="utf8")
        if shared != html:
            path.write_text(shared, encoding="utf8")


def setup(app):
    app.add_directive("explorable", ExplorableDirective)
    app.connect("source-read", rewrite_outputs)
    app.connect("build-finished", share_all, priority=950)  # after selfhost has looked at the charts
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
