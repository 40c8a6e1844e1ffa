"""The built book in a real browser, opened from disk."""

import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_tools"), str(ROOT / "book" / "_ext")]
import facts  # noqa: E402
from build import pages  # noqa: E402

PATIENCE = 30_000  # milliseconds to wait for something that normally takes one second

# Reads down to the end, and waits until each figure that is not folded away is drawn.
DRAW = """async (patience) => {
  const end = Date.now() + patience;
  const figures = [...document.querySelectorAll("figure.explorable")].filter((each) => !each.closest("details:not([open])"));
  if (!figures.every((each) => each.dataset.drawn)) await (%s)();
  while (!figures.every((each) => each.dataset.drawn) && Date.now() < end) await new Promise((next) => setTimeout(next, 20));
  return figures.filter((each) => !each.dataset.drawn).map((each) => each.id);
}""" % facts.SCROLL


def pytest_generate_tests(metafunc):
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", pages())


@pytest.fixture
def with_sign(site):
    """with_sign(text): the pages of the book whose HTML holds a text."""
    def find(text):
        return [name for name in pages() if text in (site / f"{name}.html").read_text("utf8")]

    return find


@pytest.fixture(scope="session")
def chromium():
    import chromium as tool
    from playwright.sync_api import sync_playwright

    path = tool.find()
    if path is None:
        pytest.fail(tool.HELP)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=tool.arguments())
        yield browser
        browser.close()


class Reader:
    """One browser tab that notes everything it asks for and every complaint."""

    def __init__(self, context, site):
        self.site, self.requests, self.complaints = site, [], []
        self.tab = context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.tab.on("request", lambda r: self.requests.append(r.url))
        self.tab.on("requestfailed", self._failed)
        self.tab.on("pageerror", lambda e: self._complain(f"exception: {e}"))
        self.tab.on("console", lambda m: self._complain(f"{m.type}: {m.text}", m.type))

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # what a page that is left was still waiting for
            self._complain(f"request failed: {request.url[:200]}")

    def _complain(self, text, kind="error"):
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, name, query="", figures=True):
        self.tab.goto((self.site / f"{name}.html").as_uri() + query)
        self.settle(figures)
        return self.tab

    def settle(self, figures=True):
        """Wait until the equations are set and, if wanted, every figure of the page is drawn."""
        self.tab.wait_for_load_state("load")
        if self.tab.locator(".math").count():
            self.tab.wait_for_selector("html[data-math=ready]")
        if not figures:
            return
        undrawn = self.tab.evaluate(DRAW, PATIENCE)
        assert not undrawn, f"not drawn: {undrawn}"

    @property
    def outside(self):
        return [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))]


@contextmanager
def readers(chromium, site):
    """new(width=1280, scheme="light") gives a Reader; contexts are closed in the end."""
    contexts = []

    # The tests' own waits evaluate strings, which the pages' policy forbids: test_policy.py keeps it on.
    def new(width=1280, height=900, scheme="light", bypass_csp=True, **options):
        size = {"width": width, "height": height}
        context = chromium.new_context(viewport=size, color_scheme=scheme, bypass_csp=bypass_csp, **options)
        contexts.append(context)
        return Reader(context, site)

    yield new
    for context in contexts:
        context.close()


@pytest.fixture
def read(chromium, site):
    """read(width=1280, scheme="light") gives a Reader of this test's own."""
    with readers(chromium, site) as new:
        yield new


@pytest.fixture(scope="module")
def read_together(chromium, site):
    """The same for tests of one file that only read a page."""
    with readers(chromium, site) as new:
        yield new
