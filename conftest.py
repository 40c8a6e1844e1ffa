"""What all tests share: the project's root, recorded outputs, quiet progress."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent

# nbval compares with outputs recorded this way; see book/_tools/execute.py.
os.environ["LABUTILS_EXPLORE"] = "static"
os.environ["LABUTILS_PROGRESS"] = "off"


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
