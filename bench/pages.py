"""How heavy and how quick each page of the built book is, in a cold browser on this machine.

    python bench/pages.py                   every page, three runs each
    python bench/pages.py --runs 1 atlas    one run of the pages whose names hold a word

Python's http.server serves the site, Chromium reads it with an empty cache. Bytes are those of the files;
beside them stands what a usual web server would send, with text packed by gzip at level 6. Times are medians, each
followed by its slowest run where it differs. Nothing here passes or fails; the limits that hold
(bytes, layout shift) are in tests/book/test_weight.py and tests/browser/test_layout.py.
"""

import argparse
import datetime
import gzip
import os
import platform
import statistics
import sys
import threading
from functools import lru_cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_tools"))
import chromium  # noqa: E402
from build import SITE, pages  # noqa: E402

# Noted by the page itself, from before its first byte is read.
WATCH = """
window.seen = { paint: 0, blocked: 0, shift: 0 };
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) seen.paint = entry.startTime;
}).observe({ type: "largest-contentful-paint", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) seen.blocked += Math.max(0, entry.duration - 50);
}).observe({ type: "longtask", buffered: true });
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) seen.shift += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""
REST = 2500  # milliseconds after the load, in which equations are set and the first picture drawn


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def serve(folder):
    """A server of a folder on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


TEXT = {".html", ".js", ".css", ".json", ".svg"}


@lru_cache(maxsize=None)
def packed(path):
    """Bytes of a file as a usual web server sends it: text packed by gzip, pictures and fonts as they are."""
    content = path.read_bytes()
    return len(gzip.compress(content, 6)) if path.suffix in TEXT else len(content)


def visit(browser, address, site):
    """One cold visit to a page: bytes, requests and times."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.add_init_script(WATCH)
    wire = context.new_cdp_session(tab)
    wire.send("Network.enable")
    wire.send("Network.setCacheDisabled", {"cacheDisabled": True})
    kinds, sizes, asked = {}, {}, {}
    wire.on("Network.responseReceived", lambda e: kinds.update({e["requestId"]: e["type"]}))
    wire.on("Network.requestWillBeSent", lambda e: asked.update({e["requestId"]: urlsplit(e["request"]["url"])}))
    wire.on("Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]}))
    tab.goto(address, wait_until="load")
    tab.wait_for_timeout(REST)
    seen = tab.evaluate("seen")
    context.close()
    kilo = lambda kind=None: sum(s for r, s in sizes.items() if kind in (None, kinds.get(r))) / 1000  # noqa: E731
    # Fonts stand inside the style sheet, with which they are counted.
    sizes = {request: size for request, size in sizes.items() if asked[request].scheme == "http"}
    files = [site / unquote(asked[request].path).lstrip("/") for request in sizes]
    sent = sum(packed(path) for path in files if path.is_file()) / 1000
    return {"HTML, kB": kilo("Document"), "all, kB": kilo(), "gzip, kB": sent, "script, kB": kilo("Script"),
            "style, kB": kilo("Stylesheet"), "requests": len(sizes), "paint, ms": seen["paint"],
            "blocked, ms": seen["blocked"], "shift": seen["shift"]}


def written(column, values):
    """The median, and for times the slowest run behind it."""
    middle = statistics.median(values)
    if column == "shift":
        return f"{middle:.3f}"
    return f"{middle:.0f} ({max(values):.0f})" if column.endswith("ms") else f"{middle:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only pages whose names hold one of these words")
    parser.add_argument("--site", type=Path, default=SITE, help="folder of the built site")
    parser.add_argument("--runs", type=int, default=3, help="visits a page")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error(f"--runs must be 1 or more; got {options.runs}")
    if not (options.site / "index.html").is_file():
        parser.error(f"no built book in {options.site}: run make book first")
    if (browser_path := chromium.find()) is None:
        parser.error(chromium.HELP)
    from playwright.sync_api import sync_playwright

    names = [name for name in pages() if not options.words or any(word in name for word in options.words)]
    server = serve(options.site)
    host = f"http://127.0.0.1:{server.server_port}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=chromium.arguments())
        # The pages take turns, so that a busy moment of the machine hits all of them.
        rounds = [{name: visit(browser, f"{host}/{name}.html", options.site) for name in names} for _ in range(options.runs)]
        version = browser.version
        browser.close()
    server.shutdown()
    print(f"{datetime.date.today():%d %B %Y}. {platform.system()}, {os.cpu_count()} cores, load "
          f"{os.getloadavg()[0]:.1f}; Chromium {version}; {options.runs} visits a page.\n")
    columns = list(rounds[0][names[0]]) if names else []
    print(f"| page | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
    for name in names:
        cells = [written(column, [each[name][column] for each in rounds]) for column in columns]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
