"""The tool that finds a browser for the tests."""

import subprocess
import sys

import pytest


@pytest.fixture
def tool(root, monkeypatch):
    monkeypatch.syspath_prepend(str(root / "book" / "_tools"))
    import chromium

    return chromium


def program(folder, name):
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_one_that_is_chosen_wins(tool, monkeypatch, tmp_path):
    chosen = program(tmp_path, "mine")
    monkeypatch.setenv("CHROMIUM", chosen)
    assert tool.find() == chosen


def test_the_usual_names_are_tried_in_order(tool, monkeypatch, tmp_path):
    monkeypatch.delenv("CHROMIUM", raising=False)
    program(tmp_path, "google-chrome")
    first = program(tmp_path, "chromium-browser")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool.find() == first


def test_a_choice_that_does_not_exist_is_one_clear_line(root):
    command = [sys.executable, str(root / "book" / "_tools" / "chromium.py")]
    done = subprocess.run(command, env={"CHROMIUM": "/no/such"}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "CHROMIUM must name a program that exists; got '/no/such'\n"


def test_the_browser_keeps_quiet(tool):
    assert "--disable-background-networking" in tool.arguments()
