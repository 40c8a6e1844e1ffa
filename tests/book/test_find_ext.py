"""The index of the search, made of a tiny book and of the real one."""

import json
import re

import pytest
from test_checks_ext import record
from test_meanings_ext import GLOSSARY, NOTATION

PAPERS = """- id: 0
  slug: first-paper
  title: The first paper
  source: Doe, 2025
  arxiv: "2505.00001"
  part: policy
  chapter: policy/one
  lab: null
  claim: The entropy falls by as much as the covariance says it must fall.
  verdict: planned
  evidence: []
  note: ""
"""
PAGE = """# One

## How it falls

It falls. So it goes:

$$ \\frac{dH}{dt} = -\\mathrm{Cov}_\\pi(\\log\\pi, A) $$ (eq-falls-fast)

```{claim} claim-small
It is small.
```

```{exercise} Try it
:label: ex-try
Show that $\\pi\\ge0$.
```

```{order} quiz-one-two-steps Which comes first
Sort $a$ and $b$.

1. This.
2. That.

---
The secret.
```

```python
hidden_in_code = 1
```
"""


@pytest.fixture
def entries(tiny_book):
    tiny_book.extensions = ["myst_nb", "sphinx_exercise", "checks_ext", "explorable_ext", "atlas_ext", "find_ext", "quiz_ext"]
    tiny_book.page("index", "# Home\n\n```{toctree}\nbook/notation\nbook/glossary\nbook/atlas\nbook/policy/one\nlab\n```\n")
    tiny_book.page("book/notation", NOTATION)
    tiny_book.page("book/glossary", GLOSSARY)
    tiny_book.page("book/atlas", "# Atlas\n\n```{atlas}\n```\n")
    tiny_book.page("book/policy/one", PAGE)
    tiny_book.notebook("notebooks/lab", [record("eq-falls-fast"), record("claim-small")])
    tiny_book.page("lab", "# Lab\n\n```{toctree}\nnotebooks/lab\n```\n")
    (tiny_book.source / "book" / "papers.yml").write_text(PAPERS, encoding="utf8")
    assert tiny_book.build() == ""
    text = (tiny_book.target / "_static" / "find-index.js").read_text("utf8")
    found = json.loads(text.removeprefix("window.bookIndex=").removesuffix(";\n"))
    tiny_book.pages = found["pages"]
    return [dict(zip(("kind", "title", "names", "text", "page", "anchor"),
                     [*entry[:4], found["pages"][entry[4]][0], entry[5]])) for entry in found["entries"]]


def one(entries, kind, title):
    found = [entry for entry in entries if (entry["kind"], entry["title"]) == (kind, title)]
    assert len(found) == 1, [e for e in entries if e["kind"] == kind]
    return found[0]


def test_everything_with_an_address_is_there(entries):
    equation = one(entries, "Equations", "Falls fast (1)")
    assert equation["text"] == "dH/dt = − Cov_π(log π, A)\nSo it goes:\nHow it falls"
    assert (equation["page"], equation["anchor"]) == ("book/policy/one.html", "equation-eq-falls-fast")
    assert one(entries, "Claims", "Small")["text"] == "It is small."
    assert one(entries, "Checks", "Falls fast")["page"] == "notebooks/lab.html"
    assert one(entries, "Exercises", "Try it")["text"] == "Show that π ≥ 0."
    quiz = one(entries, "Exercises", "Which comes first")
    assert (quiz["names"], quiz["text"], quiz["anchor"]) == ("quiz-one-two-steps", "Sort a and b.", "quiz-one-two-steps")
    assert not any("secret" in entry["text"] for entry in entries)
    assert one(entries, "Symbols", "π, π_k")["anchor"] == "symbol-pi-pi-k-one"
    assert one(entries, "Terms", "Natural gradient")["anchor"] == "term-Natural-gradient"
    paper = one(entries, "Papers", "The first paper")
    assert "first-paper" in paper["names"] and "2505.00001" in paper["names"] and paper["anchor"] == "paper-000"
    assert one(entries, "Pages", "One")["anchor"] == ""


def test_a_section_has_its_own_text_and_no_code(entries):
    section = one(entries, "Pages", "How it falls")
    assert section["anchor"] == "how-it-falls" and section["text"].startswith("It falls. So it goes")
    assert "hidden_in_code" not in section["text"]
    assert "It is small" not in section["text"], "a claim has an entry of its own"


def test_the_index_of_sphinx_is_gone(entries, tiny_book):
    assert not (tiny_book.target / "searchindex.js").exists()


def test_every_result_of_the_real_book_arrives(site):
    text = (site / "_static" / "find-index.js").read_text("utf8")
    found = json.loads(text.removeprefix("window.bookIndex=").removesuffix(";\n"))
    ids = {name: set(re.findall(r'\bid="([^"]+)"', (site / name).read_text("utf8"))) for name, _ in found["pages"]}
    lost = [(entry[1], found["pages"][entry[4]][0], entry[5]) for entry in found["entries"]
            if entry[5] and entry[5] not in ids[found["pages"][entry[4]][0]]]
    assert lost == []
