"""The buttons that start a lab, on pages opened from disk."""

import json

import pytest

PULL = "/hub/user-redirect/git-pull?repo=https%3A%2F%2Fexample.org%2Fbook"
HUB_BUTTON = f'<button class="launch-way launch-hub" type="button" data-pull="{PULL}" hidden><span>Hub</span></button>'
HUB_NEEDS = '<div class="launch-hub" hidden><dt>Hub</dt><dd>needs an account</dd></div>'


@pytest.fixture
def labs(with_sign):
    names = [name for name in with_sign('class="launch"') if name.startswith("notebooks/")]
    assert names, "no lab has a row of buttons"
    return names


@pytest.fixture
def with_hub(read, site, labs):
    """A lab's page as it is once the repository has an address; what it opens is noted, not visited."""
    reader = read()
    html = (site / f"{labs[0]}.html").read_text("utf8")
    html = html.replace('<a class="launch-way launch-download"', HUB_BUTTON + '<a class="launch-way launch-download"')
    html = html.replace('<div class="launch-download"', HUB_NEEDS + '<div class="launch-download"')
    assert HUB_BUTTON in html and HUB_NEEDS in html
    reader.tab.add_init_script("window.opened = []; window.open = (...how) => { window.opened.push(how); };")
    reader.tab.route(f"**/{labs[0]}.html", lambda route: route.fulfill(body=html, content_type="text/html"))
    reader.open(labs[0])
    return reader.tab


def test_every_button_that_shows_leads_somewhere(read, site, with_sign):
    """From disk: files that are there, or addresses outside; never a lab that cannot start."""
    names = with_sign('class="launch"')[::10]  # all are built alike, and the links of all are followed in tests/book
    reader = read()
    for name in names:
        tab = reader.open(name, figures=False)
        for button in tab.locator(".launch-way >> visible=true").all():
            address = button.evaluate("b => b.href || b.dataset.pull")
            assert address.startswith(("file:", "https://", "/hub/")), address
            if address.startswith("file:"):
                assert (site / address.removeprefix(site.as_uri() + "/")).is_file(), address
            box = button.bounding_box()
            assert box["height"] >= 44 and box["width"] >= 44
    assert not reader.outside and reader.complaints == []


def test_the_notebook_comes_from_disk(read, site, labs):
    tab = read().open(labs[0])
    with tab.expect_download() as saved:
        tab.locator(".launch-download >> visible=true").first.click()
    assert saved.value.suggested_filename == labs[0].rsplit("/", 1)[1] + ".ipynb"
    assert json.loads(saved.value.path().read_text("utf8"))["cells"]


def test_nothing_of_python_loads_before_a_click(read, with_sign):
    for name in with_sign('class="launch"')[:3]:
        reader = read()
        reader.open(name)
        assert not [url for url in reader.requests if "/lite/" in url or "pyodide" in url]


def test_from_disk_the_button_for_the_browser_says_why_it_cannot(read, with_sign):
    name = next(n for n in with_sign('launch-tab"') if n.startswith("notebooks/"))
    tab = read().open(name)
    assert tab.locator("a.launch-tab").is_hidden()
    tab.evaluate("() => { const a = document.querySelector('a.launch-tab'); a.hidden = false; a.href = a.dataset.to; }")  # as in a copy of the online site
    tab.locator("a.launch-tab").click()
    assert "opened from disk" in tab.locator(".launch-live [role=status]").inner_text()
    assert tab.locator(".launch-live iframe").count() == 0
    tab.locator(".launch-live button").press("Enter")
    assert tab.locator(".launch-live").count() == 0
    assert tab.evaluate("document.activeElement.classList.contains('launch-tab')")


def test_a_reader_names_a_hub_once(with_hub):
    tab = with_hub
    tab.locator("button.launch-hub").press("Enter")
    field = tab.get_by_label("Address of your JupyterHub")
    assert field.evaluate("f => f === document.activeElement")
    field.fill("https://hub.example.edu/user/me/lab?reset")
    field.press("Enter")
    there = [[f"https://hub.example.edu{PULL}", "_blank", "noopener"]]
    assert tab.evaluate("opened") == there
    assert field.is_hidden()
    tab.reload()
    assert tab.evaluate("opened") == []
    tab.locator("button.launch-hub").click()
    assert tab.evaluate("opened") == there


def test_the_address_of_a_hub_can_be_changed(with_hub):
    tab = with_hub
    tab.evaluate("localStorage.setItem('launch-hub', 'https://old.example.edu')")
    tab.wait_for_timeout(300)  # a browser writes what it keeps a little later
    tab.reload()
    tab.locator("nav.launch summary").click()
    tab.get_by_role("button", name="Name the address of your hub").click()
    assert tab.get_by_label("Address of your JupyterHub").input_value() == "https://old.example.edu"


@pytest.mark.parametrize("text", ["hub", "javascript:alert(1)", "ftp://hub.example.edu", "two words.org"])
def test_what_is_no_address_is_refused_in_words(with_hub, text):
    with_hub.locator("button.launch-hub").click()
    field = with_hub.get_by_label("Address of your JupyterHub")
    field.fill(text)
    field.press("Enter")
    assert "no address of a hub" in with_hub.locator("form [role=status]").inner_text()
    assert field.get_attribute("aria-invalid") == "true"
    assert with_hub.evaluate("opened") == []


@pytest.mark.parametrize("width", [390, 320])
def test_buttons_fit_a_phone(read, with_sign, width):
    for name in with_sign('class="launch"')[::10]:
        tab = read(width=width).open(name, figures=False)
        for nav in tab.locator("nav.launch").all():
            assert nav.evaluate("n => n.scrollWidth <= n.clientWidth"), name
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, name
