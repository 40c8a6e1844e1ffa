"""A lab in a browser tab: JupyterLite from a local server, Python from the site, nothing from outside.

Needs the site of `make lite`. Compiled packages (NumPy, ...) come from another host when a lab runs,
so these tests see Python start, the standard library work, and what is said when that host is away.
"""

import functools
import http.server
import re
import threading

import pytest
from launch_ext import LITE_MEGABYTES

PYTHON = 300_000  # milliseconds for Python to start on a busy machine
LAB = "notebooks/foundations/measures"


@pytest.fixture(scope="module")
def online(root):
    folder = root / "_build" / "online"
    if not (folder / "lite" / "static" / "pyodide").is_dir():
        pytest.skip("no online site here: make lite builds it")
    return folder


@pytest.fixture(scope="module")
def server(online):
    """(address, paths that were asked for) of the online site."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path.split("?")[0])

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=online))
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{serving.server_port}/", asked
    serving.shutdown()


@pytest.fixture
def lab(chromium, server):
    """A lab's page in the online site, with no host but this one within reach."""
    address, asked = server
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    outside = []

    def refuse(route):
        outside.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith(address), refuse)
    tab = context.new_page()
    tab.set_default_timeout(PYTHON)
    asked.clear()
    tab.goto(f"{address}{LAB}.html")
    yield tab, asked, outside
    context.close()


def run(frame, number, code=None):
    """Run a code cell, with other code if given, and give what it answers."""
    cell = frame.locator(".jp-CodeCell").nth(number)
    cell.locator(".cm-content").click()
    if code:
        cell.locator(".cm-content").press("ControlOrMeta+a")
        frame.owner.page.keyboard.insert_text(code)
    cell.locator(".cm-content").press("Shift+Enter")
    cell.locator(".jp-InputPrompt", has_text=re.compile(r"\[\d+\]")).wait_for()
    return cell.locator(".jp-OutputArea").inner_text()


def test_python_starts_when_asked_and_not_before(online, lab):
    tab, asked, outside = lab
    tab.wait_for_load_state("networkidle")
    assert not [path for path in asked if path.startswith("/lite/")], "something of Python loads before the click"
    tab.locator("a.launch-tab").click()
    frame = tab.frame_locator(".launch-live iframe")
    frame.locator(".jp-CodeCell").first.wait_for()
    answer = run(frame, 0, "import sys; print(sys.platform, 1 + 1, sum(range(10)))")
    assert "emscripten 2 45" in answer
    files = {path for path in asked if path.startswith("/lite/") and (online / path[1:]).is_file()}
    size = sum((online / path[1:]).stat().st_size for path in files) / 1e6
    assert abs(size - LITE_MEGABYTES) < 1, f"the buttons say {LITE_MEGABYTES} MB; the site sent {size:.1f}"
    # The one thing asked of outside is whether the packages' host is there.
    assert {url.rsplit("/", 1)[1] for url in outside} <= {"pyodide-lock.json"}


def test_a_host_that_is_away_is_named_and_the_set_up_cell_finds_the_book(lab):
    tab, asked, outside = lab
    tab.locator("a.launch-tab").click()
    said = tab.locator(".launch-live [role=status]")
    said.get_by_text("cannot be reached from here").wait_for()
    assert "The other ways do not need that address." in said.inner_text()
    frame = tab.frame_locator(".launch-live iframe")
    frame.locator(".jp-CodeCell").first.wait_for()
    assert run(frame, 0) == "", "the set-up cell, as it stands in every lab"
    assert run(frame, 0, "print(labutils.__version__, labutils.runtime.scale())").split()[1] == "browser"
    assert any(re.fullmatch(r"/lite/static/pyodide/entropy_lab-.*\.whl", path) for path in asked)
    assert any("numpy" in url for url in outside), "NumPy was asked for"


def test_the_notebook_comes_from_a_server(lab):
    tab, _, _ = lab
    with tab.expect_download() as saved:
        tab.locator(".launch-download >> visible=true").first.click()
    assert saved.value.suggested_filename == LAB.rsplit("/", 1)[1] + ".ipynb"


def test_the_frame_closes_and_gives_the_focus_back(lab):
    tab, _, _ = lab
    tab.locator("a.launch-tab").press("Enter")
    tab.locator(".launch-live iframe").wait_for()
    tab.locator(".launch-live").get_by_role("button", name="Close").press("Enter")
    assert tab.locator(".launch-live").count() == 0
    assert tab.evaluate("document.activeElement.classList.contains('launch-tab')")
