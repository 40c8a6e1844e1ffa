"""The libraries in the tree are the ones that their list names, with their licences."""

import hashlib
import re

import pytest


SIGNS = {"MIT": "Permission is hereby granted, free of charge", 
    "Apache-2.0": "Apache License", "BSD-3-Clause": "Redistribution and use",
    "OFL-1.1": "SIL Open Font License",
}


@pytest.fixture
def vendor(root):
    return root / "book" / "_static" / "vendor"


def sums(vendor):
    lines = (vendor / "SHA256SUMS").read_text(encoding="utf8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines)
    return {name.removeprefix("./"): digest for digest, name in pairs}


def test_every_file_is_listed_and_unchanged(vendor):
    own = ("SHA256SUMS", "README.md")
    files = [path for path in vendor.rglob("*") if path.is_file() and path.name not in own]
    digest = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert {path.relative_to(vendor).as_posix(): digest[path] for path in files} == sums(vendor)


def test_each_package_has_a_version_and_a_licence_text(vendor):
    readme = (vendor / "README.md").read_text("utf8")
    rows = re.findall(r"^\| `([^`]+)/` \| `([^`]+)` \| ([\d.]+) \| ([\w.-]+) \|", readme, re.M)
    assert len(rows) == 5
    for folder, package, version, licence in rows:
        text = " ".join((vendor / folder / "LICENSE").read_text("utf8").split())
        assert SIGNS[licence] in text, package
        assert f"{package}@{version}" in readme, f"{package}: the refresh line has another version"


def test_the_compiler_knows_the_version_that_altair_writes():
    altair = pytest.importorskip("altair")
    import charts

    wanted = altair.VEGALITE_VERSION.split(".")
    assert charts.version({"$schema": f"https://vega.github.io/schema/vega-lite/v{altair.VEGALITE_VERSION}.json"}) == ".".join(wanted[:2])


def test_the_style_sheet_names_fonts_that_exist(vendor):
    names = re.findall(r'url\("vendor/([^"]+)"\)', (vendor.parent / "book.css").read_text("utf8"))
    assert names and all((vendor / name).is_file() for name in names)
