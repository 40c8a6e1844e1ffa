"""What all tests share: the project's root, recorded outputs, quiet progress, and how they are shared out among cores."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent

# nbval compares with outputs recorded this way; see book/_tools/execute.py.
os.environ["LABUTILS_EXPLORE"] = "static"
os.environ["LABUTILS_PROGRESS"] = "off"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers that each ask for every core wait for one another


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """With --dist loadgroup a file goes to one core, for its fixtures or its kernel; each page's visits go where there is room."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        item.add_marker(pytest.mark.xdist_group(parameters.get("page_name") or item.path.relative_to(ROOT).as_posix()))


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
