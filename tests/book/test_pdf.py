"""Binding printed pages into one PDF, on two tiny sheets; and what is said when there is nothing to print."""

import io

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NumberObject, TextStringObject

import pdf

BASE = "file:///site/"
FACTS = {"title": "A book: about it", "authors": "A and B", "abstract": "It is short.", "keywords": "x, y",
         "date": "2026-01-02", "version": "1", "address": "https://example.org"}
ORDER = [(0, "a", None), (0, None, "Part 1"), (1, "b", None)]


def named(**entries):
    return DictionaryObject({NameObject(f"/{key}"): value for key, value in entries.items()})


def printed(links=(), anchors=(), pages=1, origin=800):
    """A PDF as Chromium writes one: tags, and destinations [(id, page, height), ...] below its origin."""
    writer = PdfWriter()
    sheets = [writer.add_blank_page(595, 842) for _ in range(pages)]
    root, top = DictionaryObject(), DictionaryObject()
    root_at, top_at = writer._add_object(root), writer._add_object(top)
    kids = [writer._add_object(named(Type=NameObject("/StructElem"), S=NameObject("/P"), P=top_at,
                                     Pg=sheet.indirect_reference, K=NumberObject(0), ID=TextStringObject(f"node{i}")))
            for i, sheet in enumerate(sheets)]
    top.update(named(Type=NameObject("/StructElem"), S=NameObject("/Document"), P=root_at, K=ArrayObject(kids)))
    entries, names = [], []
    for number, (sheet, kid) in enumerate(zip(sheets, kids)):
        sheet[NameObject("/StructParents")] = NumberObject(number)
        entries += [NumberObject(number), ArrayObject([kid])]
        names += [TextStringObject(f"node{number}"), kid]
    root.update(named(Type=NameObject("/StructTreeRoot"), K=top_at, ParentTreeNextKey=NumberObject(pages),
                      ParentTree=named(Nums=ArrayObject(entries)),
                      IDTree=named(Kids=ArrayObject([writer._add_object(named(Names=ArrayObject(names)))]))))
    writer.root_object[NameObject("/StructTreeRoot")] = root_at
    places = [(pdf.ORIGIN, 0, origin), *anchors]
    writer.root_object[NameObject("/Dests")] = DictionaryObject({
        NameObject(f"/{name}"): ArrayObject([sheets[page].indirect_reference, NameObject("/XYZ"), NumberObject(0),
                                             FloatObject(height), NumberObject(0)])
        for name, page, height in places})
    annotations = ArrayObject()
    for link in links:
        entry = named(Type=NameObject("/Annot"), Subtype=NameObject("/Link"))
        if ":" in link:
            entry[NameObject("/A")] = named(S=NameObject("/URI"), URI=TextStringObject(link))
        else:
            entry[NameObject("/Dest")] = NameObject(f"/{link}")
        annotations.append(writer._add_object(entry))
    sheets[0][NameObject("/Annots")] = annotations
    data = io.BytesIO()
    writer.write(data)
    return PdfReader(data)


def sheets(links=("file:///site/b.html#deep",)):
    return [
        pdf.Sheet("", printed(["file:///site/b.html"]), [(1, "Front", "")]),
        pdf.Sheet("a", printed(links, [("own", 0, 500)]), [(1, "Page A", "top"), (2, "Own", "own")]),
        pdf.Sheet("b", printed(["https://example.org/"], [("deep", 1, 400), ("later", 1, 300)], pages=2),
                  [(1, "Page B", "top"), (2, "Deep", "deep"), (3, "Later", "later")]),
    ]


def bound(*args):
    """(the bound book, read again; the count of its links)"""
    writer, tally = pdf.bind(sheets(*args), ORDER, FACTS, BASE)
    data = io.BytesIO()
    writer.write(data)
    return PdfReader(data), tally


def target(book, page, link=0):
    """(page number, height) that a link of the bound book leads to."""
    where = book.pages[page]["/Annots"][link].get_object()["/Dest"]
    return book.get_page_number(where[0].get_object()), float(where[3])


@pytest.mark.parametrize("address, place", [
    ("file:///site/a/b.html#x", ("a/b", "x")),
    ("file:///site/b.html", ("b", "")),
    ("file:///site/b.html?verdict=planned", ("b", "")),
    ("file:///site/a%20b.html#%CE%B7", ("a b", "η")),
    ("file:///elsewhere/b.html", None),
    ("https://example.org/b.html#x", None),
])
def test_an_address_is_inside_or_not(address, place):
    assert pdf.inside(address, BASE) == place


def test_links_between_pages_stay_in_the_book():
    book, tally = bound(["file:///site/b.html#deep", "own", "https://example.org/x"])
    margin = 842 - pdf.MARGIN / 25.4 * 72
    assert target(book, 0) == (2, 842)
    assert target(book, 1, 0) == (3, pytest.approx(400 + margin - 800, abs=0.01))
    assert target(book, 1, 1) == (1, pytest.approx(500 + margin - 800, abs=0.01))
    assert book.pages[1]["/Annots"][2].get_object()["/A"]["/URI"] == "https://example.org/x"
    assert tally == {"inside": 3, "outside": 2, "lost": []}


def test_heights_are_right_when_chromium_counts_from_the_paper():
    margin = 842 - pdf.MARGIN / 25.4 * 72
    assert pdf.places(printed(anchors=[("x", 0, 300)], origin=margin)) == {"x": (0, pytest.approx(300))}


@pytest.mark.parametrize("link", ["file:///site/genindex.html#x", "file:///site/b.html#nothing", "nowhere"])
def test_a_link_to_nothing_becomes_text_and_is_named(link):
    book, tally = bound([link])
    entry = book.pages[1]["/Annots"][0].get_object()
    assert "/A" not in entry and "/Dest" not in entry
    assert tally["lost"] == [("a", link)]


def test_outline_has_parts_pages_and_sections():
    book, _ = bound()

    def tree(items):
        return [tree(item) if isinstance(item, list) else (item.title, book.get_destination_page_number(item))
                for item in items]

    assert tree(book.outline) == [
        ("Front", 0), ("Page A", 1), [("Own", 1)],
        ("Part 1", 2), [("Page B", 2), [("Deep", 3), [("Later", 3)]]]]


def test_a_part_that_has_a_page_of_its_name_is_told_once():
    order = [(0, None, "Part 1"), (1, "p", None), (1, "b", None), (0, None, "Rest"), (1, "r", None)]
    assert pdf.without_repeats(order, {"p": "Part 1", "b": "B", "r": "R"}) == [
        (0, "p", None), (1, "b", None), (0, None, "Rest"), (1, "r", None)]


def test_the_front_is_numbered_apart():
    assert bound()[0].page_labels == ["i", "1", "2", "3"]


def test_tags_of_all_sheets_are_one_tree():
    book, _ = bound()
    tree = book.trailer["/Root"]["/StructTreeRoot"]
    parts = [part.get_object() for part in tree["/K"]["/K"]]
    assert [part["/T"] for part in parts] == ["Front", "Page A", "Page B"]
    owners = dict(zip(tree["/ParentTree"]["/Nums"][::2], tree["/ParentTree"]["/Nums"][1::2]))
    assert list(owners) == sorted(owners) == [0, 1, 2, 3] and tree["/ParentTreeNextKey"] == 4
    for page in book.pages:
        element = owners[page["/StructParents"]].get_object()[0].get_object()
        assert element["/Pg"].indirect_reference == page.indirect_reference
    names = tree["/IDTree"]["/Names"]
    assert names[::2] == sorted(set(names[::2])) and len(names) == 8
    assert [kid.get_object()["/ID"] for kid in names[1::2]] == names[::2]
    assert book.trailer["/Root"]["/MarkInfo"]["/Marked"].value is True


def test_the_book_says_what_it_is():
    book, _ = bound()
    assert book.metadata.title == "A book: about it" and book.metadata.author == "A and B"
    assert book.metadata.creation_date.date().isoformat() == "2026-01-02"
    assert book.trailer["/Root"]["/Lang"] == "en"


def test_the_same_sheets_give_the_same_bytes():
    first, second = bound()[0].stream.getvalue(), bound()[0].stream.getvalue()
    assert first == second


def test_ids_that_links_lead_to_are_collected(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text('<a class="x" href="sub/b.html#deep">x</a> <a href="#own">y</a>'
                                     '<a href="https://example.org/#no">z</a> <a href="sub/b.html#a&amp;b%20c">w</a>')
    (tmp_path / "sub" / "b.html").write_text("<a href='../a.html#top'>x</a> <a href='../gone.html#x'>y</a>")
    assert pdf.wanted(tmp_path, ["a", "sub/b"]) == {"a": {"own", "top"}, "sub/b": {"deep", "a&b c"}}


def test_the_title_page_is_told_by_the_citation(tmp_path):
    """Without git, the date is that of the release."""
    (tmp_path / "CITATION.cff").write_text(
        'title: "T: s"\nversion: 1.10\nauthors:\n- name: A\n- name: B\ndate-released: 2026-03-04\nkeywords: [x, y]\n'
        "repository-code: https://example.org\nabstract: >-\n  It is\n  short.\n")
    facts = pdf.facts_of(tmp_path)
    assert facts["authors"] == "A, B" and facts["date"] == "2026-03-04" and facts["abstract"] == "It is short."


def test_a_site_that_is_not_built_is_named(tmp_path):
    with pytest.raises(pdf.Fault, match=r"no a\.html in .*: run `make book` first"):
        pdf.print_sheets(tmp_path, ORDER, FACTS)


def test_a_missing_chromium_is_named(tmp_path, monkeypatch):
    for name in "ab":
        (tmp_path / f"{name}.html").write_text("<article><h1>T</h1></article>")
    monkeypatch.setattr(pdf.chromium, "find", lambda: None)
    with pytest.raises(pdf.Fault, match="no Chromium found"):
        pdf.print_sheets(tmp_path, ORDER, FACTS)
