"""A tiny book, built by the real extensions, for tests of these extensions."""

import io
import sys
from pathlib import Path

import nbformat
import pytest

BOOK = Path(__file__).resolve().parents[2] / "book"
sys.path[:0] = [str(BOOK / "_ext"), str(BOOK / "_tools")]


class TinyBook:
    """Pages and notebooks in a folder; `build` gives the HTML and the warnings."""

    def __init__(self, folder):
        self.source = folder / "source"
        self.target = folder / "html"
        self.source.mkdir()
        self.extensions = ["myst_nb", "checks_ext", "explorable_ext"]

    def page(self, name, text):
        path = self.source / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf8")

    def notebook(self, name, bundles, title="A lab"):
        """A notebook with one code cell an output bundle."""
        cells = [nbformat.v4.new_markdown_cell(f"# {title}")]
        for data in bundles:
            cell = nbformat.v4.new_code_cell("pass")
            cell.outputs = [nbformat.v4.new_output("display_data", data=data)]
            cells.append(cell)
        path = self.source / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)

    def build(self, **config):
        from sphinx.application import Sphinx
        from sphinx.util.console import nocolor
        from sphinx.util.docutils import docutils_namespace, patch_docutils

        nocolor()
        warnings = io.StringIO()
        settings = {
            "extensions": self.extensions, "nb_execution_mode": "off", "html_theme": "basic",
            "myst_enable_extensions": ["dollarmath", "colon_fence"], "root_doc": "index",
            "nb_ipywidgets_js": {}, **config,
        }
        with patch_docutils(), docutils_namespace():
            Sphinx(self.source, None, self.target, self.target / ".doctrees", "html", settings,
                   status=None, warning=warnings, freshenv=True).build()
        return warnings.getvalue()

    def html(self, name):
        return (self.target / f"{name}.html").read_text(encoding="utf8")


@pytest.fixture
def tiny_book(tmp_path):
    return TinyBook(tmp_path)
