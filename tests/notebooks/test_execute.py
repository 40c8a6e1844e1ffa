"""Recorded outputs are the same bytes at every run, and a cell that fails stops the tool."""

import hashlib
import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("tool_execute", ROOT / "book" / "_tools" / "execute.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def notebook(path, *sources):
    cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_same_bytes_at_every_run(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    path = notebook(tmp_path / "lab.ipynb", "import sys\nprint(1)\nsys.stdout.flush()\nprint(2)",
                    "from labutils import checks as check\ncheck.equal('eq-a', 1, 1, 1e-9, wrong={'two': 2})")
    digests = set()
    for _ in range(2):
        tool.main([str(path)])
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1
    made = nbformat.read(path, as_version=4)
    assert [c.id for c in made.cells] == ["lab-00", "lab-01", "lab-02"]
    assert made.cells[1].outputs[0].text == "1\n2\n"


def test_a_failing_cell_stops_the_tool(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    before = notebook(tmp_path / "lab.ipynb", "raise ValueError('no')").read_bytes()
    with pytest.raises(SystemExit, match="ValueError"):
        tool.main([str(tmp_path / "lab.ipynb")])
    assert (tmp_path / "lab.ipynb").read_bytes() == before


def test_a_missing_notebook_is_named(tool, tmp_path):
    with pytest.raises(SystemExit, match="no notebook at .*gone.ipynb"):
        tool.main([str(tmp_path / "gone.ipynb")])


def test_results_can_go_elsewhere(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    path = notebook(tmp_path / "lab.ipynb", "print(1)")
    before = path.read_bytes()
    tool.main(["--into", str(tmp_path / "out"), str(path)])
    assert path.read_bytes() == before and (tmp_path / "out" / "lab.ipynb").is_file()
