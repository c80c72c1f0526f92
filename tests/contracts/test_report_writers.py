"""What each report writer puts into the folder."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from phantom import make_context

from hepatica.adapters.reports import palette
from hepatica.adapters.reports.html import HtmlReportWriter, to_html
from hepatica.adapters.reports.markups import MarkupsWriter, to_markups_document
from hepatica.adapters.reports.picture_book import PictureBook
from hepatica.adapters.reports.sheet import SheetWriter, to_sheet_document, typeset_sheet
from hepatica.adapters.reports.view import DISCLAIMER, derive_plan_view
from hepatica.core.findings import NotEvaluable
from hepatica.core.progress import SILENT
from hepatica.planning.eligibility.values import Answer
from hepatica.planning.path.values import LesionPath

NASTY = 'A#b $x^2$ <script>alert("1")</script> \\ `c` *d* _e_ @f {{ g }} {% h %} & \'"> ' + "W" * 60
A4_PX = (595, 842)
"""A4 in points; at 72 dots per inch one pixel is one point."""


class Page(HTMLParser):
    """Collects tags, attributes and text of a page and checks that tags are closed."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "wbr"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def context():
    return make_context()


@pytest.fixture(scope="module")
def book(context):
    book = PictureBook()
    book.draw(context, progress=SILENT)
    return book


@pytest.fixture(scope="module")
def nasty(context):
    plan = context.plan
    lesion = replace(plan.lesions[0], label=NASTY)
    finding = replace(plan.findings[0], message=NASTY, source=NASTY)
    protocol = replace(plan.protocol, title=NASTY, notices=(NASTY,))
    facts = replace(context.image.facts, series_description=NASTY)
    return replace(
        context,
        plan=replace(plan, lesions=(lesion,), findings=(finding,), protocol=protocol),
        image=replace(context.image, facts=facts),
    )


@pytest.fixture(scope="module")
def pictures(context, book):
    """Pictures of the one puncture; they do not depend on free text."""
    return book.draw(context, progress=SILENT)


def page_sizes(pdf: bytes) -> list[tuple[int, int]]:
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)", pdf)
    return [(round(float(w)), round(float(h))) for w, h in boxes]


@pytest.mark.requirement("A-sheet-one-page")
def test_sheet_of_one_puncture_is_one_a4_page(context, tmp_path):
    names = SheetWriter().write_plan(context, tmp_path, progress=SILENT)
    pdf = (tmp_path / "sheet.pdf").read_bytes()
    assert names == ("sheet.pdf",)
    assert pdf.startswith(b"%PDF-")
    assert page_sizes(pdf) == [A4_PX]


@pytest.mark.requirement("A-sheet-deterministic")
def test_same_plan_gives_byte_identical_sheet_report_and_markups(context, tmp_path):
    made = []
    for turn in ("one", "two"):
        folder = tmp_path / turn
        folder.mkdir()
        for writer in (SheetWriter(), HtmlReportWriter(), MarkupsWriter()):
            writer.write_plan(context, folder, progress=SILENT)
        made.append({f.name: f.read_bytes() for f in sorted(folder.iterdir())})
    assert made[0].keys() == {"sheet.pdf", "report.html", "plan.mrk.json"}
    assert made[0] == made[1]


def test_run_time_of_the_manifest_is_the_only_time_in_the_sheet(context, book, tmp_path):
    (pdf,) = typeset_sheet(
        derive_plan_view(context), book.draw(context, progress=SILENT), run_time=context.manifest.run_time
    )
    stamps = set(re.findall(rb"D:(\d{14})", pdf)) | {
        re.sub(rb"[-T:]", b"", found) for found in re.findall(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)", pdf)
    }
    assert stamps == {b"20260102030405"}


@pytest.mark.requirement("A-sheet-injection")
def test_free_text_is_never_markup_for_typst(nasty, pictures):
    (pdf,) = typeset_sheet(derive_plan_view(nasty), pictures, run_time=nasty.manifest.run_time)
    assert pdf.startswith(b"%PDF-")
    document = to_sheet_document(derive_plan_view(nasty), pictures, run_time=nasty.manifest.run_time)
    assert document["notices"][0].replace("\u200b", "") == NASTY


@pytest.mark.requirement("A-report-injection")
def test_free_text_is_escaped_in_html(nasty, pictures):
    text = to_html(derive_plan_view(nasty), pictures)
    page = Page(text)
    assert not [tag for tag, _ in page.tags if tag == "script"]
    assert 'alert("1")' in page.text
    assert "{{ g }} {% h %}" in page.text
    assert page.open == []


@pytest.mark.requirement("A-report-self-contained")
def test_report_asks_the_network_for_nothing(context, book, tmp_path):
    HtmlReportWriter(book).write_plan(context, tmp_path, progress=SILENT)
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    links = {"src", "href", "srcset", "action", "data"}
    inner = ("data:image/png;base64,", "#")
    outside = [
        value
        for _, attrs in page.tags
        for key, value in attrs.items()
        if key in links and not value.startswith(inner)
    ]
    assert outside == []
    assert {tag for tag, _ in page.tags} & {"script", "iframe", "object", "link"} == set()
    assert "url(http" not in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.requirement("A-report-accessible")
def test_report_has_language_headings_alt_texts_table_headers_and_a_skip_link(context, book):
    page = Page(to_html(derive_plan_view(context), book.draw(context, progress=SILENT)))
    named = {tag: attrs for tag, attrs in page.tags}
    assert named["html"]["lang"] == "en"
    assert sum(tag == "h1" for tag, _ in page.tags) == 1
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(images) == 4
    assert all(len(attrs["alt"]) > 20 for attrs in images)
    heads = [attrs.get("scope") for tag, attrs in page.tags if tag == "th"]
    assert heads and set(heads) <= {"col", "row"}
    skip = next(attrs for tag, attrs in page.tags if tag == "a")
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert skip["class"] == "skip"
    assert {attrs["href"][1:] for tag, attrs in page.tags if tag == "a"} <= targets
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def luminance(colour: str) -> float:
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def contrast(first: str, second: str) -> float:
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.requirement("A-report-contrast")
def test_text_colours_of_the_report_meet_wcag_aa(context, book):
    text = to_html(derive_plan_view(context), book.draw(context, progress=SILENT))
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", text))
    for ink in ("ink", "quiet", "link"):
        for paper in ("paper", "wash"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    (caption,) = re.findall(r"figcaption \{ color: (#[0-9a-f]{6})", text)[:1]
    assert contrast(caption, colours["well"]) >= 4.5


def test_palette_is_told_apart_in_black_and_white():
    values = sorted(luminance(c) for c in (palette.NEEDLE, palette.INJECTED, palette.NON_INJECTED))
    # A ratio of 1.5 between neighbours is seen as a step of grey.
    assert all((b + 0.05) / (a + 0.05) > 1.5 for a, b in pairwise(values))


@pytest.mark.requirement("A-report-complete")
def test_report_says_everything_the_sheet_says(context, book):
    view = derive_plan_view(context)
    text = Page(to_html(view, book.draw(context, progress=SILENT))).text
    puncture = view.punctures[0]
    wanted = [
        view.banner, view.missing, view.protocol, *view.notices, *view.stop_rules, puncture.lateral,
        puncture.in_plane, puncture.tilt, puncture.depth_tip, puncture.depth_capsule, puncture.draw_up.text,
        *(f.message for f in view.findings), *(s.text for s in view.sources),
        *(text for _, text in view.manifest), *(a.title for a in view.allocations),
    ]  # fmt: skip
    assert [words for words in wanted if " ".join(words.split()) not in text] == []
    assert text.count(DISCLAIMER) == 1


@pytest.mark.requirement("A-sheet-unverified")
def test_report_prints_unverified_beside_every_leaning_number(context, book):
    text = to_html(derive_plan_view(context), book.draw(context, progress=SILENT))
    mark = r' <em class="unverified">unverified</em>'
    for number in ("2.00 mL", "2 × 10⁶ PFU", "22 G, 150 mm", "2.10 mL", "10 mm"):
        cells = re.findall(rf"<d[td]>{re.escape(number)}(.{{0,60}})", text) + re.findall(
            rf"<td>{re.escape(number)}(.{{0,60}})", text
        )
        assert cells and all(cell.startswith(mark) for cell in cells), number


@pytest.mark.parametrize("count", [2, 8])
def test_many_lesions_and_punctures_give_an_overview_and_a_page_each(context, book, count):
    plan, numbers = context.plan, range(1, count + 1)
    lesions = tuple(
        replace(plan.lesions[0], lesion_id=f"L{n}", label=NASTY, is_new=n == count) for n in numbers
    )
    punctures = tuple(replace(plan.punctures[0], puncture_id=f"P{n}", lesion_ids=(f"L{n}",)) for n in numbers)
    injections = tuple(
        replace(plan.allocation.injections[0], lesion_id=f"L{n}", rank=n, reason="the ceiling was reached")
        for n in numbers
    )
    many = replace(plan, lesions=lesions, punctures=punctures,
                   allocation=replace(plan.allocation, injections=injections))  # fmt: skip
    crowd = replace(context, plan=many)
    drawn = book.draw(context, progress=SILENT)["P1"]
    pictures = {p.puncture_id: drawn for p in punctures}
    (pdf,) = typeset_sheet(derive_plan_view(crowd), pictures, run_time=context.manifest.run_time)
    assert page_sizes(pdf) == [A4_PX] * (count if count == 2 else count + 1)
    assert Page(to_html(derive_plan_view(crowd), pictures)).open == []


def test_plan_without_a_path_is_one_page_and_says_so(context):
    plan = context.plan
    path = LesionPath(
        lesion_id="L1", best=None, backup=None, blocks=plan.paths[0].blocks, examined_paths=1000
    )
    none = replace(
        context,
        plan=replace(plan, punctures=(), backups=(), paths=(path,),
                     patient_position=NotEvaluable(reason="Patient Position (0018,5100) is unknown")),
    )  # fmt: skip
    view = derive_plan_view(none)
    (pdf,) = typeset_sheet(view, {}, run_time=context.manifest.run_time)
    assert page_sizes(pdf) == [A4_PX]
    text = Page(to_html(view, {})).text
    assert "No needle path" in text and "40 %" in text


def test_letters_without_an_embedded_font_do_not_stop_the_sheet(context, book):
    lesion = replace(context.plan.lesions[0], label="肝 Läsion درم 🩺")
    plan = replace(context.plan, lesions=(lesion,))
    pictures = book.draw(context, progress=SILENT)
    (pdf,) = typeset_sheet(
        derive_plan_view(replace(context, plan=plan)), pictures, run_time=context.manifest.run_time
    )
    assert page_sizes(pdf) == [A4_PX]


def test_book_draws_once_for_the_same_plan(context, book):
    first = book.draw(context, progress=SILENT)
    assert book.draw(context, progress=SILENT) is first
    assert set(first["P1"]) == {"needle", "scene", "entry", "target"}
    assert all(p.png.startswith(b"\x89PNG") for p in first["P1"].values())


@pytest.mark.requirement("A-markups-lps")
def test_markups_declare_lps_millimetres_and_defined_points(context, tmp_path):
    MarkupsWriter().write_plan(context, tmp_path, progress=SILENT)
    document = json.loads((tmp_path / "plan.mrk.json").read_text(encoding="utf-8"))
    assert "markups-schema-v1.0.3" in document["@schema"]
    for markup in document["markups"]:
        assert (markup["coordinateSystem"], markup["coordinateUnits"]) == ("LPS", "mm")
        for point in markup["controlPoints"]:
            assert point["positionStatus"] == "defined"
            assert all(round(x, 3) == x for x in point["position"])


@pytest.mark.requirement("A-markups-points")
def test_markups_hold_every_track_deposit_backup_and_diameter_where_the_plan_puts_them(context):
    document = to_markups_document(context.plan)
    kinds = [(m["type"], m["name"]) for m in document["markups"]]
    assert kinds == [
        ("Line", "P1 track 1"),
        ("Fiducial", "P1 deposits"),
        ("Line", "P1b backup track 1"),
        ("Line", "L1 longest diameter"),
    ]
    puncture = context.plan.punctures[0]
    expected = [
        [puncture.entry_lps_mm, puncture.tracks[0].tip_lps_mm],
        [d.point_lps_mm for d in puncture.tracks[0].deposits],
        [context.plan.backups[0].entry_lps_mm, context.plan.backups[0].tracks[0].tip_lps_mm],
        list(context.plan.lesions[0].longest_diameter.ends_lps_mm),
    ]
    for markup, points in zip(document["markups"], expected, strict=True):
        written = np.array([p["position"] for p in markup["controlPoints"]])
        # Rounded to a micrometre.
        assert np.abs(written - np.array(points)).max() <= 0.0005
    assert [p["label"] for p in document["markups"][1]["controlPoints"]] == [
        "P1.1.1 1.000 mL",
        "P1.1.2 1.000 mL",
    ]


@pytest.mark.requirement("A-sheet-eligibility")
def test_the_sheet_prints_a_failed_criterion_and_room_for_the_patients_label(context, pictures):
    failed = replace(context.plan.eligibility[0], answer=Answer.FAIL, reason="platelets outside the limit")
    plan = replace(context.plan, eligibility=(failed,))
    view = derive_plan_view(replace(context, plan=plan))
    document = to_sheet_document(view, pictures, run_time=context.manifest.run_time)
    assert "platelets outside the limit" in document["eligibility"]["failed"][0]
    plain = typeset_sheet(derive_plan_view(context), pictures, run_time=context.manifest.run_time)
    assert typeset_sheet(view, pictures, run_time=context.manifest.run_time) != plain
    text = Page(to_html(view, pictures)).text
    assert "1 fail" in text
