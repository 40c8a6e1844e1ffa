"""A content-security policy for each page: nothing from outside the site, and no script but the book's own.

It stands in the page itself, so that it holds from disk as well as from any server.
"""

import base64
import hashlib
import re

SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.S)
MARK = '<meta http-equiv="Content-Security-Policy"'
# `file:` beside 'self', because a browser may hold that a page from disk has no self. Over http a page
# can load nothing from `file:` in any case. Styles may stand in the page: equations, charts and
# listings set theirs there; they can fetch nothing but what img-src and font-src admit.
RULES = {
    "default-src": "'none'",
    "script-src": "'self' file:",
    "style-src": "'self' file: 'unsafe-inline'",
    "img-src": "'self' file: data:",
    "font-src": "'self' file: data:",
    "form-action": "'self' file:",
    "base-uri": "'none'",
}


def inline_scripts(html):
    """The scripts that stand in a page and run (not data, not files)."""
    for attributes, text in SCRIPT.findall(html):
        kind = re.search(r'type="([^"]*)"', attributes)
        if not re.search(r"\ssrc=", attributes) and (not kind or "javascript" in kind.group(1)):
            yield text


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(html):
    """The policy of a page: the rules, with the digests of its own inline scripts."""
    digests = dict.fromkeys(digest(text) for text in inline_scripts(html))
    rules = RULES | {"script-src": " ".join([RULES["script-src"], *digests])}
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def seal(html):
    """A page of the book with its policy, before anything that it governs. Doing it again changes nothing."""
    if "data-content_root=" not in html or "<head>" not in html:
        return html
    rules = f'{MARK} content="{policy(html)}" />'
    if MARK in html:
        return re.sub(rf"{MARK}[^>]*>", lambda match: rules, html)
    return re.sub(r'(<meta charset="utf-8" ?/?>\s*)', lambda match: f"{match.group()}{rules}\n    ", html, count=1)
