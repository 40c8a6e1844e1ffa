"""The font of the equations is parted without losing a letter."""

import re

import letters
import pytest

FONT = "".join([
    'var a={};n.defaultChars={normal:{65:[.7,0,.7,{p:"1 2L3 4"}],66:[.7,0,.7,{sk:.1,p:"5:{6}"}],9e3:[0,0,1]},',
    '"-size3":{40:[1,0,.5,{p:"7"}]},script:{}},n.dynamicFiles=c.defineDynamicFiles([["curly",{script:[[65,67],90]},[40]]]),n.x=1',
])
CURLY = {"curly": 'MathJax.dynamicSetup("","curly",{script:{65:[1,1,1],66:[2,2,2],67:[3,3,3],90:[4,4,4]}},{40:{dir:d}})'}


def test_letters_in_use_stay_and_the_rest_can_be_fetched():
    font, rest = letters.part(FONT, CURLY, {"normal": {66}, "script": {66}})
    kept, _ = letters.parts(font, font.index("{normal") if "{normal" in font else font.index('{"normal"'))
    assert {style: set(letters.glyphs(text)) for style, text in kept.items()} == {
        "normal": {66}, "-size3": set(), "script": {66}}
    assert letters.glyphs(kept["normal"])[66] == '[.7,0,.7,{sk:.1,p:"5:{6}"}]'
    assert '["curly",{"script":[65,67,90]},[40]]' in font
    assert '["rest-normal",{"normal":[65,9000]}]' in font and '["rest-size3",{"-size3":[40]}]' in font
    assert set(rest) == {"rest-normal", "rest-size3"}
    assert '65:[.7,0,.7,{p:"1 2L3 4"}],9000:[0,0,1]' in rest["rest-normal"]
    assert font.endswith("),n.x=1")


def test_a_font_of_another_form_is_refused():
    with pytest.raises(ValueError, match="another form"):
        letters.part("var nothing", {}, {})


def test_the_font_in_the_tree_keeps_every_letter(root, tmp_path):
    folder = root / "book" / letters.FONT
    font = (folder / "svg.js").read_text("utf8")
    alphabets = {path.stem: path.read_text("utf8") for path in (folder / "svg/dynamic").glob("*.js")}
    parted, rest = letters.part(font, alphabets, letters.listed())
    drawn = lambda text: set(re.findall(r'p:"[^"]{9,}"', text))  # noqa: E731
    assert drawn(font) <= drawn(parted + "".join(rest.values()))
    assert len(parted) < 200_000


def test_the_list_reads_back_as_written(tmp_path):
    used = {"normal": {65, 66, 67, 90}, "-size3": {40}}
    path = tmp_path / "letters.txt"
    path.write_text(letters.written(used), encoding="utf8")
    assert letters.listed(path) == used and "normal: 41-43 5a" in path.read_text("utf8")
