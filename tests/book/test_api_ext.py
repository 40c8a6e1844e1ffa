"""Docstrings keep their alignment, and nothing in them is read as markup."""


def test_formulas_survive(tiny_book, monkeypatch):
    tiny_book.extensions.append("api_ext")
    (tiny_book.source / "thing.py").write_text(
        '"""About |x| and *y*.\n\nUnits: nats."""\n\n\ndef f(x):\n    """|x| = sqrt(x*x)*\n\n'
        '    x    number\n      deeper_ |y|\n\n    Errors: none.\n    """\n')
    monkeypatch.syspath_prepend(str(tiny_book.source))
    tiny_book.page("index", "# API\n\n```{eval-rst}\n.. automodule:: thing\n   :members:\n```\n")
    assert tiny_book.build() == ""
    html = tiny_book.html("index")
    assert "<p>|x| = sqrt(x*x)*</p>" in html and "About |x| and *y*." in html
    assert "x    number\n  deeper_ |y|\n\nErrors: none." in html.replace("<span></span>", "")


def test_only_a_first_line(tiny_book, monkeypatch):
    tiny_book.extensions.append("api_ext")
    (tiny_book.source / "other.py").write_text('def f(x):\n    """One line."""\n\n\ndef g(x):\n    pass\n')
    monkeypatch.syspath_prepend(str(tiny_book.source))
    tiny_book.page("index", "# API\n\n```{eval-rst}\n.. autofunction:: other.f\n.. autofunction:: other.g\n```\n")
    assert tiny_book.build() == "" and "<p>One line.</p>" in tiny_book.html("index")
