"""The set-up cell of a lab and the cells after it, twice in a row, in an environment with nothing of the book."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LAB = "notebooks/policy/why-entropy-falls.ipynb"
SOURCE = f"file://localhost{ROOT}"  # older pip takes no address without a host
FIRST = 4  # set-up, imports, and two cells that compute and check
HOST = ["ipython", "numpy==2.2.6", "pip"]
RUN = """
import json, subprocess, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1])):
    shell.run_cell(cell).raise_error()
import labutils
from labutils import info, policy, checks
print("ready", labutils.__version__)
"""


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A fresh environment with IPython and an older NumPy, as a host would have."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", *HOST], check=True)
    return folder, python


def packages(python):
    done = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
    return {p["name"].lower(): p["version"] for p in json.loads(done.stdout)}


def local_cells(folder):
    """The first code cells of a copy of the lab whose source is this checkout."""
    spec = importlib.util.spec_from_file_location("set_repo", ROOT / "book" / "_tools" / "set_repo.py")
    set_repo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(set_repo)
    copy = folder / "copy"
    (copy / LAB).parent.mkdir(parents=True)
    shutil.copy(ROOT / LAB, copy / LAB)
    shutil.copy(ROOT / "_config.yml", copy)
    assert set_repo.set_repo(copy, SOURCE) == [copy / LAB]
    cells = ["".join(c["source"]) for c in json.loads((copy / LAB).read_text())["cells"] if c["cell_type"] == "code"]
    assert f"git+{SOURCE}" in cells[0] and "use_theme()" in cells[1]
    path = folder / "cells.json"
    path.write_text(json.dumps(cells[:FIRST]))
    return path


@pytest.mark.skipif(shutil.which("git") is None, reason="the set-up cell installs from a git repository")
def test_set_up_twice_in_a_row(clean):
    folder, python = clean
    cells = local_cells(folder)
    before = packages(python)
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}  # it may hold this checkout
    runs = [subprocess.run([python, "-c", RUN, cells], cwd=folder, env=own, capture_output=True, text=True) for _ in range(2)]
    for done in runs:
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"ready \d", done.stdout)
    after = packages(python)
    assert after["entropy-lab"]
    assert {name: after[name] for name in before} == before, "a package of the host was changed"
    assert not {"torch", "jupyterlab", "scipy", "sympy"} & after.keys(), "more was installed than the lab uses"
    assert "pip" not in runs[1].stdout + runs[1].stderr, "the second run must not install anything"
