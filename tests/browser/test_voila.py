"""A lab as an app: Voilà runs it, and a slider moves its picture through the kernel, with no network."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import TimeoutError

pytest.importorskip("voila")
ROOT = Path(__file__).resolve().parents[2]
LAB = "notebooks/foundations/measures-semantic.ipynb"  # the quickest lab with a slider
START = 120  # seconds for a server on a busy machine


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The address of a running Voilà that shows the lab."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("voila") / "log"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LABUTILS_EXPLORE": "live", "LABUTILS_SCALE": "browser"}
    server = subprocess.Popen([sys.executable, "book/_tools/apps.py", LAB, "--no-browser", f"--port={port}",
                               "--Voila.ip=127.0.0.1"], cwd=ROOT, env=environment, stdout=log.open("w"), stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + START
        while True:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > end:
                pytest.fail(log.read_text("utf8"))
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.send_signal(signal.SIGINT)  # ends its kernels too
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def test_a_slider_moves_the_picture_through_the_kernel(chromium, app):
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    tab, asked, spoken = context.new_page(), [], []
    tab.set_default_timeout(1000 * START)
    context.on("request", lambda request: asked.append(request.url))
    tab.on("websocket", lambda socket: socket.on("framereceived", lambda frame: spoken.append(frame)))
    for attempt in range(3):  # each visit starts a kernel of its own; one that does not come up is no verdict on the app
        try:
            tab.goto(app, timeout=60_000)
            break
        except TimeoutError:
            assert attempt < 2, "the app did not come up in three visits"
    figure = tab.locator(".widget-box:has(.widget-slider)").first
    canvas, handle = figure.locator("canvas"), figure.locator("[role=slider]")
    canvas.wait_for()
    handle.scroll_into_view_if_needed()
    picture = "c => c.toDataURL()"
    before, heard = canvas.evaluate(picture), len(spoken)
    for _ in range(20):
        handle.press("ArrowLeft")
    tab.wait_for_function("([box, before]) => { const c = box.querySelector('canvas'); return c && c.toDataURL() !== before; }",
                          arg=[figure.element_handle(), before])
    drawn = [frame for frame in spoken[heard:] if b"vegalite" in (frame if isinstance(frame, bytes) else frame.encode())]
    assert drawn, "the picture changed without a word from the kernel"
    assert tab.locator(".jp-CodeCell .jp-InputArea >> visible=true").count() == 0, "the code shows"
    assert not [url for url in asked if not url.startswith((app, "data:", "blob:"))]
    context.close()


def test_templates_ask_nothing_of_the_outside(tmp_path):
    import apps

    assert apps.templates(target=tmp_path) == tmp_path
    for name in apps.TEMPLATES:
        text = (tmp_path / "voila" / "templates" / name).read_text("utf8")
        assert len(text) > 500 and not re.search(r'(?:href|src)="https?:', text)
