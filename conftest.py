"""What all tests share: the project's root, recorded outputs, quiet progress, and how they are shared out among cores."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent

# nbval compares with outputs recorded this way; see book/_tools/execute.py.
os.environ["LABUTILS_EXPLORE"] = "static"
os.environ["LABUTILS_PROGRESS"] = "off"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers that each ask for every core wait for one another


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file goes to one worker, for its fixtures or its kernel; the visits of pages go each where there is room."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if "/test_pages.py::" in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def root():
    return ROOT


@pytest.fixture(scope="session")
def site():
    """The folder of the built site (SITE in the environment names another one)."""
    folder = Path(os.environ.get("SITE") or ROOT / "_build" / "html")
    if not (folder / "index.html").is_file():
        pytest.fail(f"no built book in {folder}: run make book first")
    return folder
