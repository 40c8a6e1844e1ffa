"""The zip of the site: what is in it, and that the same site gives the same bytes."""

import os
import zipfile

import pytest

import archive


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "html"
    for name in ("index.html", ".buildinfo", "objects.inv", "_sources/a.md", "book/a.html", "_static/x/.hidden",
                 "_static/book.css"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_it_holds_what_a_reader_needs_in_one_folder(site, tmp_path):
    count = archive.archive(site, tmp_path / "site.zip")
    names = zipfile.ZipFile(tmp_path / "site.zip").namelist()
    assert names == [f"entropy-lab/{name}" for name in
                     ("_static/book.css", "book/a.html", "index.html", "LICENSE", "LICENSE-text")]
    assert count == len(names)


def test_the_same_site_gives_the_same_bytes(site, tmp_path):
    archive.archive(site, tmp_path / "one.zip")
    os.utime(site / "index.html", (10**9, 10**9))
    archive.archive(site, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_site_that_is_not_built_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no built book in .*: run `make book` first"):
        archive.archive(tmp_path, tmp_path / "site.zip")
