"""Symbols and terms, told apart for real in a tiny book."""

import json

import pytest

NOTATION = """# Notation

| symbol | meaning | unit | first chapter |
|---|---|---|---|
| $\\pi,\\ \\pi_k$ | policy, with $k$ a choice | none | [one](policy/one.md) |
| $H$ | entropy | nats | [one](policy/one.md); everywhere |
| $W$ | work | joule | *heat* |
"""
GLOSSARY = """# Glossary

```{glossary}
Natural gradient
  The gradient <of> a law, $F^{-1}g$.

Score
  A gradient.

PPO
  A method.

Otsu's threshold
  A cut.
```
"""
TOC = "# Home\n\n```{toctree}\nbook/notation\nbook/glossary\nbook/policy/one\nbook/waves/two\n```\n"


@pytest.fixture
def book(tiny_book):
    tiny_book.extensions = ["myst_nb", "meanings_ext"]
    tiny_book.page("index", TOC)
    tiny_book.page("book/notation", NOTATION)
    tiny_book.page("book/glossary", GLOSSARY)
    tiny_book.page("book/policy/one", "# One\n\nText.\n")
    tiny_book.page("book/waves/two", "# Two\n\nText.\n")
    return tiny_book


def data(book):
    text = (book.target / "_static" / "meanings-data.js").read_text("utf8")
    return json.loads(text.removeprefix("window.bookMeanings=").removesuffix(";\n"))


def test_formulas_are_told_what_they_hold(book):
    book.page("book/policy/one", "# One\n\n$\\pi_j$ and $x$\n\n$$ H = \\pi $$ (eq-a)\n")
    book.page("book/waves/two", "# Two\n\n$2\\pi$ and $H$\n")
    assert book.build() == ""
    one, two = book.html("book/policy/one"), book.html("book/waves/two")
    assert '<span class="means-0 math notranslate nohighlight">\\(\\pi_j\\)' in one
    assert '<span class="math notranslate nohighlight">\\(x\\)' in one
    assert 'class="means-1-0 math notranslate nohighlight" id="equation-eq-a"' in one
    assert '<span class="math notranslate nohighlight">\\(2\\pi\\)' in two
    assert '<span class="means-1 math notranslate nohighlight">\\(H\\)' in two


def test_a_labelled_equation_has_one_button_that_names_it(book):
    book.page("book/policy/one", "# One\n\n$$ x = y $$ (eq-b)\n\n$$ H = \\pi $$ (eq-a)\n\n$$ H $$\n")
    book.build()
    html = book.html("book/policy/one")
    assert html.count('class="equation-symbols"') == 1  # not for an equation without symbols or label
    assert 'data-means="1-0" aria-haspopup="dialog" aria-expanded="false">symbols' in html
    assert "in equation 2</span>" in html


def test_the_meanings_lie_in_one_file(book):
    book.build()
    first, _, last = data(book)["symbols"]
    assert first["meaning"] == 'policy, with <span class="math">\\(k\\)</span> a choice'
    assert first["heads"] == ["\\pi"] and first["page"] == "book/policy/one.html"
    assert first["at"] == "book/notation.html#symbol-pi-pi-k-one"
    assert last["page"] is None and last["chapter"] == "heat"
    assert 'id="symbol-pi-pi-k-one"' in book.html("book/notation")
    term = data(book)["terms"]["book/glossary.html#term-Natural-gradient"]
    assert term == {"term": "Natural gradient",
                    "meaning": 'The gradient &lt;of&gt; a law, <span class="math">\\(F^{-1}g\\)</span>.'}
    assert [each["meaning"] for each in data(book)["terms"].values() if each["term"].startswith("Otsu")] == ["A cut."]


def test_the_first_use_of_a_telling_term_is_a_link(book):
    book.page("book/policy/one", "# Natural gradient\n\nA score, ppo, `natural gradient`, **natural gradient**.\n\n"
                                 "Supernatural gradient, natural gradients and PPO.\n\nNatural gradient, PPO.\n")
    book.build()
    html = book.html("book/policy/one")
    assert "A score, ppo," in html and "Supernatural gradient, <a" in html
    assert 'href="../glossary.html#term-Natural-gradient">natural gradients</a> and <a class="term' in html
    assert 'href="../glossary.html#term-PPO">PPO</a>.' in html
    assert html.count('class="term reference internal"') == 2, "only the first use is a link"


def test_a_row_that_is_not_in_order_stops_the_build(book):
    book.page("book/notation", NOTATION + "| $a$ | b |\n")
    with pytest.raises(Exception, match="notation.md, line 8: a row must have 4 cells"):
        book.build()
