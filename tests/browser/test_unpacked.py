"""The zip of the site, unpacked where names have spaces and letters of other languages, read from disk."""

import re
import zipfile

import pytest

import archive


@pytest.fixture
def unpacked(site, tmp_path):
    archive.archive(site, tmp_path / "site.zip")
    folder = tmp_path / "Bücher und Мои файлы η"
    zipfile.ZipFile(tmp_path / "site.zip").extractall(folder)
    return folder / archive.FOLDER


def test_the_archive_works_in_full(read, unpacked, with_sign):
    chapter = next(name for name in with_sign('class="check-badge"') if name in with_sign('type="range"'))
    reader = read()
    reader.site = unpacked
    tab = reader.tab
    tab.goto((unpacked / "index.html").as_uri())
    tab.wait_for_selector("article h1")

    reader.open(chapter)
    figure = tab.locator("figure.explorable:has(input[type=range])").first
    slider = figure.locator("input[type=range]").first
    before = figure.locator("svg").inner_html()
    slider.evaluate("s => { s.value = s.value === s.max ? s.min : s.max;"
                    " s.dispatchEvent(new Event('input', { bubbles: true })); }")
    tab.wait_for_function("([figure, before]) => figure.querySelector('svg').innerHTML !== before",
                          arg=[figure.element_handle(), before])

    badge = tab.locator("a.check-badge >> visible=true").first
    badge.scroll_into_view_if_needed()
    badge.click()
    tab.locator(".check-line:target").wait_for()
    assert "notebooks" in tab.url
    reader.settle()  # what a page that is left has asked for would count as failed

    tab.go_back()
    reader.settle()
    tab.locator("article a.reference.internal[href*='.html'] >> visible=true").first.click()
    tab.wait_for_url(re.compile(r"^file:.*\.html"))
    tab.wait_for_selector("article h1")
    reader.settle()

    tab = reader.open("search", "?q=entropy")
    tab.wait_for_selector("#search-results a")
    assert reader.outside == [] and reader.complaints == []
    assert all(url.startswith((unpacked.as_uri(), "data:", "blob:")) for url in reader.requests)
