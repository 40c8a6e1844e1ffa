"""The atlas page, the papers of a chapter and the counts, built for real in a tiny book."""

import re

import pytest
import yaml
from labutils.checks import Record

PAPERS = [
    {"id": 0, "slug": "first", "title": "Heat & <Light>", "source": "A et al., 2020",
     "arxiv": "2001.00001", "part": "policy", "chapter": "policy/page", "lab": "policy/page",
     "claim": "Entropy falls by the covariance when η < 1 & the step is small.",
     "verdict": "reproduced in part", "evidence": ["eq-a", "claim-b"],
     "note": "Only for <small> steps."},
    {"id": 1, "slug": "second", "title": "Second", "source": "B, 2021", "doi": "10.1000/x",
     "source_checked": False, "part": "policy", "chapter": "policy/page", "lab": "policy/page-more",
     "claim": "The bound is never violated over a thousand random draws.",
     "verdict": "does not hold as stated", "evidence": ["eq-a"], "note": ""},
    {"id": 2, "slug": "third", "title": "Third", "source": "C, 2022", "part": "waves",
     "chapter": "waves/later", "lab": None,
     "claim": "A soliton keeps its shape for as long as one looks.",
     "verdict": "planned", "evidence": [], "note": "A caveat."},
]
PAGES = {
    "index": "# Front\n\n```{atlas-counts}\n```\n\n```{toctree}\nbook/atlas\nbook/policy/page\n"
             "notebooks/policy/page\nnotebooks/policy/page-more\n```\n",
    "book/atlas": "# Atlas\n\n```{atlas}\n```\n",
    "book/policy/page": "# Page\n\n$$ a = b $$ (eq-a)\n\n```{claim} claim-b\nIt is so.\n```\n\n"
                        "## Papers of this chapter\n\n```{papers} policy/page\n```\n",
}


def record(label):
    made = Record(label, "equal", "to 1e-12", ["sign flipped"], "wide", None)
    return dict(made._repr_mimebundle_())


@pytest.fixture
def book(tiny_book):
    """Builds the tiny book with these papers and pages; gives back the warnings."""
    tiny_book.extensions.append("atlas_ext")

    def build(papers=PAPERS, text=None, labels=("eq-a", "claim-b"), **pages):
        for name, page in {**PAGES, **pages}.items():
            tiny_book.page(name, page)
        tiny_book.notebook("notebooks/policy/page", [record(label) for label in labels])
        tiny_book.notebook("notebooks/policy/page-more", [record("eq-a")])
        text = yaml.safe_dump(papers, allow_unicode=True) if text is None else text
        (tiny_book.source / "book" / "papers.yml").write_text(text, encoding="utf8")
        return tiny_book.build()

    return build


def bodies(tiny_book):
    return {name: tiny_book.html(name).partition("<body>")[2] for name in PAGES}


def row(html, number):
    return re.search(rf'<tr[^>]*id="paper-{number}".*?</tr>', html, re.S).group()


def test_table_has_a_row_for_each_paper(book, tiny_book):
    assert book() == ""
    html = tiny_book.html("book/atlas")
    assert html.count('<tr role="row" id="paper-') == 3
    first = row(html, "000")
    assert '<a href="https://arxiv.org/abs/2001.00001">Heat &amp; &lt;Light&gt;</a>' in first
    assert "when η &lt; 1 &amp; the step" in first and "Only for &lt;small&gt; steps." in first
    assert '<a href="policy/page.html">policy/page</a>' in first
    assert '<span class="verdict verdict-in-part">reproduced in part</span>' in first
    assert 'href="https://doi.org/10.1000/x"' in row(html, "001")
    assert "B, 2021 (not confirmed)" in row(html, "001")


def test_chapter_without_a_page_is_plain_text(book, tiny_book):
    book()
    third = row(tiny_book.html("book/atlas"), "002")
    assert "waves/later" in third and "<a " not in third


def test_evidence_leads_to_the_check_in_the_papers_own_lab(book, tiny_book):
    book()
    html = tiny_book.html("book/atlas")
    assert '<a href="../notebooks/policy/page.html#check-eq-a">eq-a</a>' in row(html, "000")
    assert '<a href="../notebooks/policy/page.html#check-claim-b">claim-b</a>' in row(html, "000")
    assert '<a href="../notebooks/policy/page-more.html#check-eq-a">eq-a</a>' in row(html, "001")
    for name in ("page", "page-more"):
        assert 'id="check-eq-a"' in tiny_book.html(f"notebooks/policy/{name}")


def test_table_can_be_read_without_seeing_it_and_filtered(book, tiny_book):
    book()
    html = tiny_book.html("book/atlas")
    assert "<caption>" in html
    assert html.count('<th scope="col"') == 7 and html.count('<th scope="row"') == 3
    form = re.search(r"<form.*?</form>", html, re.S).group()
    assert form.startswith('<form class="atlas-filter"') and " hidden>" in form
    assert 'aria-live="polite">3 of 3 papers<' in form
    assert re.findall(r'<option value="([^"]*)"', form) == \
        ["", "reproduced", "in-part", "does-not-hold", "exact-only", "planned"]
    assert 'src="../_static/atlas.js' in html and 'href="../_static/atlas.css' in html


def test_papers_of_a_chapter(book, tiny_book):
    book()
    html = tiny_book.html("book/policy/page")
    section = html[html.index("Papers of this chapter"):]
    assert "Heat &amp; &lt;Light&gt;" in section and "Second" in section and "Third" not in section
    assert 'href="../atlas.html#paper-000"' in section
    assert 'href="../../notebooks/policy/page.html#check-eq-a"' in section
    assert 'class="verdict verdict-does-not-hold"' in section
    assert section.count("Claim tested.") == 2 and section.count("Keep in mind.") == 1


def test_counts(book, tiny_book):
    book()
    html = tiny_book.html("index")
    found = re.findall(r"<strong>(\d+)</strong> <span class=\"verdict verdict-([a-z-]+)\">", html)
    assert found == [("0", "reproduced"), ("1", "in-part"), ("1", "does-not-hold"),
                     ("0", "exact-only"), ("1", "planned")]
    assert 'href="book/atlas.html?verdict=in-part"' in html


def test_missing_evidence_is_reported(book):
    page = PAGES["book/policy/page"].replace("claim} claim-b", "note}")
    warnings = book(labels=("eq-a",), **{"book/policy/page": page})
    assert "paper 0: no notebook has a check 'claim-b'" in warnings


@pytest.mark.parametrize("place, key, value, line", [
    (2, "verdict", "true", "paper 2: verdict must be one of"),
    (0, "evidence", [], "paper 0: the verdict 'reproduced in part' needs evidence"),
    (1, "lab", "policy/none", "paper 1: lab must be a notebook; there is no notebooks/policy/none"),
    (1, "id", 0, "paper 0: id must be unique"),
])
def test_broken_file_stops_the_build(book, place, key, value, line):
    from sphinx.errors import SphinxError

    papers = [dict(paper) for paper in PAPERS]
    papers[place][key] = value
    with pytest.raises(SphinxError, match=re.escape(line)):
        book(papers=papers)


@pytest.mark.parametrize("text, line", [
    ("- id: [0\n", "papers.yml is not YAML"),
    ("id: 0\n", "must hold a list"),
])
def test_unreadable_file_stops_the_build(book, text, line):
    from sphinx.errors import SphinxError

    with pytest.raises(SphinxError, match=line):
        book(text=text)


def test_missing_file_stops_the_build(tiny_book):
    from sphinx.errors import SphinxError

    tiny_book.extensions.append("atlas_ext")
    tiny_book.page("index", "# Front\n")
    with pytest.raises(SphinxError, match="there is no file book/papers.yml"):
        tiny_book.build()


@pytest.mark.parametrize("directive, line", [
    ("{papers} waves/none", "no paper of the atlas belongs to the chapter 'waves/none'"),
    ("{papers}", "papers takes one chapter"),
    ("{atlas} policy/page", "atlas and atlas-counts take nothing"),
])
def test_wrong_use_of_a_directive_is_reported(book, directive, line):
    assert line in book(**{"book/atlas": f"# Atlas\n\n```{directive}\n```\n"})


def rebuild(tiny_book, doctrees=".doctrees", **how):
    """Builds again on top of what is there; gives back the pages that were read."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    settings = {"extensions": tiny_book.extensions, "nb_execution_mode": "off",
                "html_theme": "basic", "root_doc": "index", "nb_ipywidgets_js": {},
                "myst_enable_extensions": ["dollarmath", "colon_fence"]}
    read, target = [], tiny_book.target
    with patch_docutils(), docutils_namespace():
        app = Sphinx(tiny_book.source, None, target, target / doctrees, "html", settings,
                     status=None, warning=None, **how)
        app.connect("env-before-read-docs", lambda app, env, docnames: read.extend(docnames))
        app.build()
    return set(read)


def test_pages_follow_the_file(book, tiny_book):
    """Pages that show papers are read again when the file changes or a page appears, others not."""
    book()
    assert rebuild(tiny_book) == set()
    path = tiny_book.source / "book" / "papers.yml"
    text = path.read_text(encoding="utf8").replace("A caveat.", "A better caveat.")
    path.write_text(text, encoding="utf8")
    showing = {"index", "book/atlas", "book/policy/page"}
    assert rebuild(tiny_book) == showing
    assert "A better caveat." in tiny_book.html("book/atlas")
    tiny_book.page("book/waves/later", "---\norphan: true\n---\n# Later\n")
    assert rebuild(tiny_book) == showing | {"book/waves/later"}
    third = row(tiny_book.html("book/atlas"), "002")
    assert '<a href="waves/later.html">waves/later</a>' in third


def test_pages_read_in_parallel_are_the_same(book, tiny_book):
    """The record of which page shows what survives a parallel build."""
    book(**{f"extra{n}": "---\norphan: true\n---\n# Extra\n" for n in range(6)})
    alone = bodies(tiny_book)
    assert PAGES.keys() <= rebuild(tiny_book, ".parallel", freshenv=True, parallel=2)
    assert bodies(tiny_book) == alone


def test_left_out_authors_are_et_al(tiny_book):
    tiny_book.extensions += ["atlas_ext", "sphinxcontrib.bibtex"]
    tiny_book.page("index", "# Front\n\n{cite}`one` {cite}`two`\n\n"
                            "```{bibliography}\n:all:\n:style: plain\n```\n")
    (tiny_book.source / "all.bib").write_text(
        "@misc{one, author={Cui and others}, title={{One}}, year={2025}}\n"
        "@misc{two, author={{De Bruyne} and others}, title={{Two}}, year={2023}}\n"
        "@misc{three, author={Rényi, Alfréd}, title={{Three}}, year={1961}}\n", encoding="utf8")
    (tiny_book.source / "book").mkdir()
    (tiny_book.source / "book" / "papers.yml").write_text("[]", encoding="utf8")
    assert tiny_book.build(bibtex_bibfiles=["all.bib"], bibtex_reference_style="author_year") == ""
    text = re.sub(r"<[^>]+>", "", tiny_book.html("index")).replace("\xa0", " ")
    assert "[Cui et al., 2025] [De Bruyne et al., 2023]" in text
    assert "Cui et al. One." in text and "De Bruyne et al. Two." in text
    assert "others" not in text and "Alfréd Rényi. Three." in text
    assert text.index("One.") < text.index("Two.") < text.index("Three.")  # by name
