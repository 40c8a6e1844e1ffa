"""What the build does to the theme's pages: the frame, the styles, the policy, the pictures and listings."""

import base64
import hashlib

import frame
import policy
import pytest
import svg_thin
import theme_styles

HEAD = '<html lang="en" data-content_root="./"><head><meta charset="utf-8" /><title>A</title></head>'


def test_the_frame_of_other_pages_is_left_alone():
    html = '<html><script>document.write(`<b>`)</script></html>'
    assert frame.mend(html) == policy.seal(html) == html


def test_buttons_stand_in_the_page_and_say_what_they_do():
    html = (HEAD + '<script>\ndocument.write(`<button class="btn btn-sm nav-link pst-navbar-icon theme-switch-button" '
            'title="light/dark" aria-label="light/dark" data-bs-toggle="tooltip"></button>`);\n</script>')
    mended = frame.mend(html)
    assert "document.write" not in mended and "data-bs" not in mended
    assert 'aria-label="Colours"' in mended
    assert frame.mend(mended) == mended


def test_the_switch_of_a_chapter_says_whose_labs_it_shows():
    html = (HEAD + '<a class="reference internal" href="a.html">Entropies</a><details><summary>'
            '<span class="toctree-toggle" role="presentation"></span></summary></details>')
    assert '<summary aria-label="Labs of: Entropies">' in frame.mend(html)


def test_a_listing_keeps_its_words_and_loses_marks_and_test_lines():
    html = ('<pre><span></span><span class="c1"># NBVAL_CHECK_OUTPUT</span>\n<span class="n">x</span> <span class="o">=</span> '
            '<span class="mi">1</span>\n\n\n<span class="n">y</span></pre>')
    assert frame.listing(html) == '<pre>x = <span class="mi">1</span>\n\n\ny</pre>'
    assert "\n\n\ny" in frame.mend(HEAD + html), "blank lines of code count"


def test_a_style_rule_stays_if_what_it_asks_for_can_exist():
    css = ".used, .gone { color: red } .gone .used { top: 0 } #here:not(.gone) p { left: 0 } @media print { .gone { top: 1px } }"
    assert theme_styles.prune(css, {"used", "here"}) == ".used{color: red}\n#here:not(.gone) p{left: 0}"


def test_names_that_nothing_reads_are_dropped():
    css = ':root{--bs-a:1;--bs-b:var(--bs-c);--bs-c:2;--own:3}p{top:var(--bs-a)}'
    assert theme_styles.without_idle_names(css, "") == ":root{--bs-a:1;--own:3}p{top:var(--bs-a)}"
    assert "--bs-c:2" in theme_styles.without_idle_names(css, "a{top:var(--bs-b)}")


@pytest.mark.parametrize("script, counts", [
    ("<script>a()</script>", True), ('<script type="text/javascript">a()</script>', True),
    ('<script type="application/json">{}</script>', False), ('<script src="a.js"></script>', False),
])
def test_the_policy_names_each_script_that_stands_in_the_page(script, counts):
    digest = base64.b64encode(hashlib.sha256(b"a()").digest()).decode()
    assert (digest in policy.policy(script)) is counts
    assert "http" not in policy.policy(script) and "unsafe-eval" not in policy.policy(script)


def test_a_page_is_sealed_once_before_all_that_it_governs():
    sealed = policy.seal(HEAD)
    assert sealed.index("Content-Security-Policy") < sealed.index("<title>")
    assert policy.seal(sealed) == sealed


def test_a_thin_picture_is_the_same_picture():
    svg = ('<svg width="5pt"><defs><path id="m" d="M 0 0 \nL 0 3.5 \n" style="fill: red"/></defs>\n <g id="idle">\n'
           '<use xlink:href="#m" x="1.23456" style="fill: red"/></g><text style="top: 1.2345px">a  b</text></svg>')
    assert svg_thin.thin(svg, "p1") == (
        '<svg width="5pt"><style>.p1-0{fill: red}</style><defs><path id="p1_0" d="M0 0L0 3.5" class="p1-0"/></defs>'
        '<use xlink:href="#p1_0" x="1.23" class="p1-0"/><text style="top: 1.2345px">a  b</text></svg>')


def test_path_letters_repeat_only_where_they_must():
    assert svg_thin._path("M 1 2 \nL 3 4 \nL 5 6 \nz\nM 7 8 \nM 9 1 \n") == "M1 2L3 4 5 6zM7 8M9 1"
