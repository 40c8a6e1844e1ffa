"""Bytes of the built book, which are facts and hold everywhere. Times are in bench/pages.py."""

import re
from pathlib import Path

import pytest
from build import pages

KB = 1000
# A chart's data may stand in the page or in a file of its own; it is not counted here.
CHART = re.compile(r'<script type="application/json" class="explorable-spec"[^>]*>.*?</script>', re.S)
SCRIPT = re.compile(r'<script[^>]* src="([^"?]+)')
SHEET = re.compile(r'<link rel="stylesheet"[^>]* href="([^"?]+)')
MATH = "vendor/mathjax"


def html(site, name):
    return (site / f"{name}.html").read_text(encoding="utf8")


def size(site, name, pattern):
    page = site / f"{name}.html"
    return sum((page.parent / address).resolve().stat().st_size for address in pattern.findall(html(site, name)))


@pytest.mark.parametrize("name", pages())
def test_a_page_is_light(site, name):
    weight = len(CHART.sub("", html(site, name)).encode())
    lab = name.startswith("notebooks/")
    part_list = name.startswith(("book/api", "book/atlas", "book/results"))  # to be looked through, not read
    assert weight <= (400 if lab else 230 if part_list else 200) * KB
    assert size(site, name, SHEET) <= 260 * KB  # fonts included, shared by all pages


@pytest.mark.parametrize("name", pages())
def test_a_page_brings_the_scripts_that_it_needs_and_waits_for_none(site, name):
    text = html(site, name)
    assert all("defer" in tag for tag in re.findall(r"<script[^>]* src=[^>]*>", text))
    needed = {"explorable.js": 'class="explorable"', "startup.js": 'math"', "atlas.js": "atlas-filter", "quiz.js": 'class="quiz '}
    brought = {Path(address).name for address in SCRIPT.findall(text)}
    assert {script for script in needed if script in brought} == {s for s, sign in needed.items() if sign in text}


def test_a_page_brings_the_record_where_something_can_be_passed(site):
    for name in pages():
        text = html(site, name)
        brought = [Path(address).name for address in SCRIPT.findall(text)]
        wanted = any(sign in text for sign in ('class="quiz ', 'class="exercise', 'class="quiz-record"'))
        assert ("progress.js" in brought) == wanted, name
        if "quiz.js" in brought:  # it listens to pictures, and marks what is passed
            before = {"explorable.js", "progress.js"} & set(brought)
            assert brought.index("quiz.js") > max(map(brought.index, before)), name


def test_a_page_of_words_brings_little(site):
    """Theme switch, search, sidebars: nothing else."""
    assert size(site, "book/errata", SCRIPT) <= 40 * KB


def test_no_page_repeats_what_tools_write_for_others(site):
    for name in pages():
        text = html(site, name)
        for sign in ("NBVAL_CHECK_OUTPUT", "document.write", "bootstrap.js", "?digest=", "jb-print-docs-body"):
            assert sign not in text, (name, sign)
        assert text.count('name="viewport"') == 1
