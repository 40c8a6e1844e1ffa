"""The pages' policy: it lets everything of the book work, and nothing from outside the site."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from facts import WATCH

CHAPTER = "book/foundations/measures"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def served(site):
    """The address of the site on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def watched(read):
    def new(**options):
        reader = read(bypass_csp=False, **options)
        reader.tab.add_init_script(WATCH)
        return reader

    return new


def test_searching_breaks_no_rule(watched):
    reader = watched()
    tab = reader.open("book/errata")
    tab.locator(".search-button-field").click()
    tab.keyboard.type("entropy")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("main a:has-text('ntrop')")
    assert tab.evaluate("refused") == [] and reader.complaints == []


def test_it_works_from_a_server_too(watched, served):
    reader = watched()
    reader.tab.goto(f"{served}/{CHAPTER}.html")
    reader.settle()
    assert reader.tab.locator("figure.explorable[data-drawn=yes]").count()
    assert reader.tab.evaluate("refused") == [] and reader.complaints == []


# What someone might bring onto a page, and the rule that stops it. Nothing listens at the address.
ELSEWHERE = "https://127.0.0.1:9/"
ATTEMPTS = {
    "img-src": "document.body.append(Object.assign(new Image(), { src: ELSEWHERE }))",
    "connect-src": "fetch(ELSEWHERE).catch(() => {})",
    "script-src-elem": "document.body.append(Object.assign(document.createElement('script'), { src: ELSEWHERE }))",
    "style-src-elem": "document.body.append(Object.assign(document.createElement('link'), { rel: 'stylesheet', href: ELSEWHERE }))",
    "frame-src": "document.body.append(Object.assign(document.createElement('iframe'), { src: ELSEWHERE }))",
    "object-src": "document.body.append(Object.assign(document.createElement('object'), { data: ELSEWHERE }))",
    "media-src": "document.body.append(Object.assign(document.createElement('video'), { src: ELSEWHERE }))",
    "worker-src": "try { new Worker(URL.createObjectURL(new Blob(['']))) } catch {}",
    "base-uri": "document.head.append(Object.assign(document.createElement('base'), { href: ELSEWHERE }))",
    "form-action": "{ const f = Object.assign(document.createElement('form'), { action: ELSEWHERE }); document.body.append(f); f.submit(); }",
    "script-src-attr": "document.body.insertAdjacentHTML('beforeend', '<button id=trap onclick=\"window.sprung = 1\"></button>'); trap.click()",
    "script-src": "try { eval('window.sprung = 1') } catch {}",
}


@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize("rule", ATTEMPTS)
def test_nothing_from_outside_gets_in(watched, served, rule, over_http):
    reader = watched()
    page = "book/errata.html"
    reader.tab.goto(f"{served}/{page}" if over_http else (reader.site / page).as_uri())
    # Later, as a script of the page would: what a debugger runs may use eval.
    reader.tab.evaluate(f"() => {{ const ELSEWHERE = '{ELSEWHERE}'; setTimeout(() => {{ {ATTEMPTS[rule]} }}) }}")
    for _ in range(100):
        if refused := reader.tab.evaluate("refused"):
            break
        reader.tab.wait_for_timeout(50)
    assert rule in {line.split()[0] for line in refused}
    assert not reader.tab.evaluate("Boolean(window.sprung)")


def test_a_script_in_the_page_that_the_build_did_not_see_does_not_run(watched, site, tmp_path):
    html = (site / "book/errata.html").read_text(encoding="utf8")
    page = tmp_path / "errata.html"
    page.write_text(html.replace("</body>", "<script>window.sprung = 1</script></body>"), encoding="utf8")
    reader = watched()
    reader.tab.goto(page.as_uri())
    assert "script-src-elem inline" in reader.tab.evaluate("refused")
    assert not reader.tab.evaluate("Boolean(window.sprung)")
