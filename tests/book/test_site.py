"""The built site as files: nothing outside, nothing dangling, words for pictures, weight."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
import selfhost
import yaml
from bs4 import BeautifulSoup
from build import pages

PAGE_LIMIT = 1_500_000  # bytes of HTML


class Page(HTMLParser):
    """Ids, links, pictures and resources of a page."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links, self.silent, self.resources = set(), [], [], []
        self.figures = []
        self.feed(path.read_text(encoding="utf8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.update(v for k, v in attributes if k == "id" or (k == "name" and tag == "a"))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        if tag == "img" and "alt" not in given:
            self.silent.append(f"<img src={given.get('src')}>")
        if tag == "figure" and given.get("class") in ("explorable", "picture"):
            self.figures.append(given.get("id") or given["class"])
        if given.get("class") in ("explorable-view", "picture-view"):
            if len(given.get("aria-label") or "") < 20:
                self.silent.append(f"figure {self.figures[-1:]}")
        if tag == "script" and given.get("src"):
            self.resources.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "preload", "icon"):
            self.resources.append(given["href"])
        if tag == "img" and given.get("src"):
            self.resources.append(given["src"])


@pytest.fixture(scope="module")
def read(site):
    paths = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    return {path: Page(path) for path in paths}


def test_every_page_of_the_contents_is_there(site, root):
    assert yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))["format"] == "jb-book"
    assert [name for name in pages() if not (site / f"{name}.html").is_file()] == []


def test_nothing_is_fetched_from_outside(site):
    assert list(selfhost.survey(site)) == []


def test_every_resource_of_a_page_exists(site, read):
    missing = []
    for path, page in read.items():
        for address in page.resources:
            if address.startswith("data:"):
                continue
            file = (path.parent / unquote(urlsplit(address).path)).resolve()
            if not file.is_file() or not file.is_relative_to(site.resolve()):
                missing.append(f"{path.relative_to(site)}: {address}")
    assert missing == []


def test_every_link_inside_the_book_arrives(site, read):
    ids = {path.resolve(): page.ids for path, page in read.items()}
    broken = []
    for path, page in read.items():
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            anchor = unquote(parts.fragment)
            if not target.is_file():
                broken.append(f"{path.relative_to(site)}: {address} (no such page)")
            elif anchor and target in ids and anchor not in ids[target]:
                broken.append(f"{path.relative_to(site)}: {address} (no such place)")
    assert broken == []


def test_every_picture_has_words(site, read):
    silent = {str(path.relative_to(site)): page.silent for path, page in read.items()}
    assert {name: found for name, found in silent.items() if found} == {}


def test_ids_of_figures_are_unique_on_a_page(site, read):
    for path, page in read.items():
        named = [f for f in page.figures if f not in ("explorable", "picture")]
        assert len(named) == len(set(named)), path.relative_to(site)


# What scripts fetch when they run, by a sign in the page.
LATER = {
    'class="explorable"': ("vega/vega.min.js",),
    "mathjax/startup.js": (
        "mathjax/core.js", "mathjax/input/tex.js", "mathjax/output/svg.js",
        "mathjax/a11y/assistive-mml.js", "mathjax/fonts/mathjax-newcm-font/svg.js",
    ),
}


def test_weights(site, read, record_property):
    """Each page's HTML stays below its limit; what a first visit loads is reported."""
    lines, heavy = [], []
    for name in pages():
        path = site / f"{name}.html"
        text, html = path.read_text(encoding="utf8"), path.stat().st_size
        named = [a for a in read[path].resources if not a.startswith("data:")]
        loaded = {(path.parent / unquote(urlsplit(address).path)).resolve() for address in named}
        for sign, parts in LATER.items():
            vendor = (site / "_static" / "vendor").resolve()
            loaded |= {vendor / part for part in parts if sign in text}
        total = html + sum(file.stat().st_size for file in loaded)
        lines.append(f"{name}: {html / 1e3:.0f} kB, with scripts and styles {total / 1e3:.0f} kB")
        record_property(f"weight of {name}", json.dumps({"html": html, "total": total}))
        heavy += [name] if html > PAGE_LIMIT else []
    whole = sum(file.stat().st_size for file in site.rglob("*") if file.is_file())
    print("\n".join([*lines, f"whole site: {whole / 1e6:.1f} MB"]))
    assert heavy == []


def test_the_cards_say_what_comes_before_and_after(site):
    names = pages()
    for place, name in enumerate(names):
        soup = BeautifulSoup((site / f"{name}.html").read_text(encoding="utf8"), "html.parser")
        before, after = soup.select("nav.prev-next-area a.left-prev"), soup.select("nav.prev-next-area a.right-next")
        assert len(before) == (place > 0) and len(after) == (place < len(names) - 1), name
        for card in before + after:
            kind = card.select_one(".prev-next-subtitle span").text
            assert kind in ("chapter", "lab", "part", "reference", "front page"), name
            assert len(card.select_one(".prev-next-promise").text) >= 15, f"{name}: {card.text}"
            if kind in ("chapter", "lab"):
                assert re.search(r"\d+ minutes", card.select_one(".prev-next-subtitle").text), name


def test_an_unchanged_book_is_not_built_twice(tmp_path, site, monkeypatch):
    import build

    stamp = tmp_path / "stamp"
    assert not build.built(site, stamp)
    stamp.write_text(build.inputs())
    assert build.built(site, stamp)
    empty = tmp_path / "html"
    empty.mkdir()
    assert not build.built(empty, stamp), "a page is missing"
    monkeypatch.setattr(build, "inputs", lambda: "another book")
    assert not build.built(site, stamp)


def test_what_is_edited_during_a_build_is_built_by_the_next(tmp_path, monkeypatch):
    import build

    stamp, states = tmp_path / "stamp", ["before"]
    monkeypatch.setattr(build, "STAMP", stamp)
    monkeypatch.setattr(build, "inputs", lambda: states[-1])
    monkeypatch.setattr(build, "faults", lambda *_: [])
    monkeypatch.setattr(build.slides, "main", lambda: None)
    monkeypatch.setattr(build, "ROOT", tmp_path)
    monkeypatch.setattr(build, "pages", lambda: ["book/index"])
    monkeypatch.setattr(build.subprocess, "run", lambda *_, **__: states.append("after") or build.subprocess.CompletedProcess([], 0))
    monkeypatch.setattr(build, "SITE", tmp_path / "html")
    build.main()
    assert stamp.read_text() == "before" and not build.built()


def test_every_file_of_the_book_counts_as_an_input(tmp_path):
    import build

    for name in ("_config.yml", "_toc.yml", "pyproject.toml", "constraints.txt", "bench/labs.json", "book/part/a.md", "notebooks/a.ipynb", "labutils/a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a")
    before = build.inputs(tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        path.write_text("b")
        assert build.inputs(tmp_path) != before, path
        path.write_text("a")
    (tmp_path / "labutils" / "__pycache__").mkdir()
    (tmp_path / "labutils" / "__pycache__" / "a.pyc").write_text("c")
    assert build.inputs(tmp_path) == before
