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
