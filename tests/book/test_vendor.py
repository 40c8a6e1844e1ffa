"""The libraries in the tree are the ones that their list names, with their licences."""

import hashlib
import re

import pytest


@pytest.fixture
def vendor(root):
    return root / "book" / "_static" / "vendor"


def sums(vendor):
    lines = (vendor / "SHA256SUMS").read_text(encoding="utf8").splitlines()
    return {name.removeprefix("./"): digest for digest, name in (line.split(maxsplit=1) for line in lines)}


def test_every_file_is_listed_and_unchanged(vendor):
    found = {str(p.relative_to(vendor)): hashlib.sha256(p.read_bytes()).hexdigest()
             for p in vendor.rglob("*") if p.is_file() and p.name not in ("SHA256SUMS", "README.md")}
    assert found == sums(vendor)


def test_each_package_has_a_version_and_a_licence_text(vendor):
    rows = re.findall(r"^\| `([^`]+)/` \| `([^`]+)` \| ([\d.]+) \| ([\w.-]+) \|", (vendor / "README.md").read_text("utf8"), re.M)
    assert len(rows) == 5
    for folder, package, version, licence in rows:
        text = (vendor / folder / "LICENSE").read_text("utf8")
        family = {"Apache-2.0": "Apache License", "BSD-3-Clause": "Redistribution and use", "OFL-1.1": "SIL Open Font License"}
        assert family[licence] in " ".join(text.split()), package
        assert f"{package}@{version}" in (vendor / "README.md").read_text("utf8"), f"{package}: the refresh line names another version"


def test_vega_lite_is_of_the_version_that_altair_writes(vendor):
    altair = pytest.importorskip("altair")
    library = (vendor / "vega-lite" / "vega-lite.min.js").read_text("utf8")
    major = altair.VEGALITE_VERSION.split(".")[0]
    found = re.findall(r'"(\d+\.\d+\.\d+)"', library)
    assert any(version.split(".")[0] == major for version in found), (altair.VEGALITE_VERSION, found)


def test_the_style_sheet_names_fonts_that_exist(vendor):
    names = re.findall(r'url\("vendor/([^"]+)"\)', (vendor.parent / "book.css").read_text("utf8"))
    assert names and all((vendor / name).is_file() for name in names)
