"""The site for a web server: what goes into it, and where its packages come from."""

import importlib.util
import json
from pathlib import Path

import lite
import pytest
from launch_ext import LITE_OFF


def package(name, file=None, depends=(), imports=()):
    return {"name": name, "version": "1", "file_name": file or f"{name}-1-py3-none-any.whl", "depends": list(depends),
            "imports": list(imports), "sha256": "0", "package_type": "package", "install_dir": "site"}


@pytest.fixture
def original():
    names = {"numpy": "numpy-1-cp314-cp314-pyemscripten_2026_0_wasm32.whl", "matplotlib": None, "altair": None, "tqdm": None,
             "ipython": None, "traitlets": None, "typing-extensions": None, "six": None}
    return {"info": {}, "packages": {n: package(n, f, ["six"] if n == "altair" else []) for n, f in names.items()}}


@pytest.fixture
def wheels(tmp_path):
    """A file for each package that the site would hold."""
    made = {}
    for name in (*lite.MORE, "altair"):
        made[name] = tmp_path / f"{name.replace('-', '_')}-2.0-py3-none-any.whl"
        made[name].write_text(name)
    return made


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "entropy_lab-0.1.0-py3-none-any.whl"
    path.write_text("book")
    return path


def test_pure_packages_come_from_the_site_and_the_rest_from_the_address(original, wheels, book):
    made = lite.lock(original, wheels, book, "https://mirror.example.org/")["packages"]
    assert made["numpy"]["file_name"].startswith("https://mirror.example.org/numpy-1-")
    assert made["altair"]["file_name"] == "altair-2.0-py3-none-any.whl" and made["altair"]["depends"] == ["six"]
    assert made["altair"]["sha256"] != "0" and made["numpy"]["sha256"] == "0", "the digest follows the file"
    assert original["packages"]["altair"]["version"] == "1", "the given lock is left alone"


def test_importing_labutils_brings_the_book_and_what_it_needs(original, wheels, book):
    made = lite.lock(original, wheels, book, "./")["packages"]
    assert made["entropy-lab"]["imports"] == ["labutils"]
    assert {"numpy", "anywidget", "array-api-compat"} <= set(made["entropy-lab"]["depends"])
    assert set(lite.closure(made, ["entropy-lab"])) >= {"psygnal", "six", "traitlets"}


def test_a_requirement_that_no_one_has_stops_the_build(original, wheels, book):
    del original["packages"]["tqdm"]
    with pytest.raises(KeyError, match="tqdm"):
        lite.lock(original, wheels, book, "./")


def test_doors_open_in_the_online_site_alone(tmp_path):
    page = tmp_path / "a.html"
    page.write_text(f'<a {LITE_OFF} data-to="x">run</a><div {LITE_OFF}>needs</div>')
    assert lite.open_doors(tmp_path, 'https://m.example.org/"') == 1
    assert page.read_text() == ('<a data-lite="https://m.example.org/&quot;" href="x">run</a>'
                                '<div data-lite="https://m.example.org/&quot;">needs</div>')


def test_a_wrong_pyodide_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PYODIDE", str(tmp_path))
    with pytest.raises(SystemExit, match="has no pyodide.mjs"):
        lite.core(tmp_path / "cache")
    for name in (*lite.CORE, "pyodide-lock.json"):
        (tmp_path / name).touch()
    (tmp_path / "package.json").write_text('{"version": "0.1.0"}')
    with pytest.raises(SystemExit, match=f"must be version {lite.VERSION}; got 0.1.0"):
        lite.core(tmp_path / "cache")


def test_without_npm_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("PYODIDE", raising=False)
    monkeypatch.setattr(lite.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="npm is needed to fetch Pyodide; or set PYODIDE"):
        lite.core(tmp_path / "cache")


def test_a_bad_address_of_packages_is_refused(monkeypatch):
    monkeypatch.setenv("PYODIDE_URL", "https://mirror.example.org/full")
    with pytest.raises(SystemExit, match="PYODIDE_URL must be an address with a slash at its end"):
        lite.main()


def test_the_labs_are_those_without_torch():
    names = {path.stem for path in lite.labs()}
    assert "measures" in names and "why-entropy-falls" in names and "why-entropy-falls-grpo" not in names


def test_pyodide_is_the_one_that_the_kernel_expects():
    if importlib.util.find_spec("jupyterlite_pyodide_kernel") is None:
        pytest.skip("make lite brings the kernel")
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    assert lite.VERSION == PYODIDE_VERSION


def test_the_kernel_in_the_extra_is_the_pinned_one(root):
    pins = lite.pins()
    text = Path(root / "pyproject.toml").read_text("utf8")
    for name in ("jupyterlite-core", "jupyterlite-pyodide-kernel"):
        assert f'"{name}=={pins[name]}"' in text
    assert set(lite.MORE) <= set(pins)


def test_the_built_lock_has_no_hole(root):
    """In a site that `make lite` built: each file that is said to lie in it does."""
    folder = root / "_build" / "online" / "lite" / "static" / "pyodide"
    if not folder.is_dir():
        pytest.skip("no online site here: make lite builds it")
    packages = json.loads((folder / "pyodide-lock.json").read_text("utf8"))["packages"]
    inside = [p["file_name"] for p in packages.values() if "/" not in p["file_name"]]
    assert len(inside) > 20 and all((folder / name).is_file() for name in inside)
    assert not list(folder.glob("*manylinux*"))
