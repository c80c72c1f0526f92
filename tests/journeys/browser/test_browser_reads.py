"""Two blinded readers read a baseline and a follow-up in the browser, and an adjudicator decides between them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from browser_case import TABLET, open_case
from live_server import PASSWORD, start_server

from hepatica.adapters.nifti.view_volumes import to_view_nifti
from hepatica.bootstrap import make_record
from hepatica.core.geometry import Grid
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

SHAPE, SPACING_MM = (96, 96, 24), (3.0, 3.0, 5.0)
LESIONS_MM = {"T01": (-45.0, 10.0), "T02": (30.0, -20.0)}
RADII_MM = {"base": {"T01": 24.0, "T02": 18.0}, "follow": {"T01": 13.0, "T02": 10.0}}
WRONG = "three loud herons"
ROUNDING_MM = 0.051
HAND_MM = 3.0
"""A drag goes from one pixel to another; a pixel of the picture is some 0.7 mm, and edges are half of one off."""
INJECTED_DAY = "2026-01-17"
SECRETS = ("inject", INJECTED_DAY, "2026-01-02", "2026-03-04", "dose_level")


def make_scan(radii_mm: dict[str, float]) -> bytes:
    """A cylinder with two dark balls in it, around the origin of the patient's space."""
    lps_from_ijk = np.diag([*SPACING_MM, 1.0])
    lps_from_ijk[:3, 3] = -(np.array(SHAPE) - 1) / 2 * np.array(SPACING_MM)
    grid = Grid(shape=SHAPE, lps_from_ijk=lps_from_ijk)
    index = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    points = grid.to_lps_mm(index)
    values = np.full(SHAPE, -1000, dtype=np.int16, order="F")
    values[np.hypot(points[..., 0], points[..., 1]) < 120.0] = 60
    for name, (x, y) in LESIONS_MM.items():
        values[np.linalg.norm(points - (x, y, 0.0), axis=-1) < radii_mm[name]] = -20
    return to_view_nifti(values, grid=grid)


def make_items(files):
    yield "site", "s1", "", {"name": "North"}
    yield "patient", "p1", "p1", {"subject_id": "01-007", "status": "on_treatment", "dose_level": 2}
    days = {"base": "2026-01-02", "follow": "2026-03-04"}
    for number, (name, radii) in enumerate(RADII_MM.items(), start=1):
        yield "scan", name, "p1", {
            "series_uid": f"2.25.{number}", "modality": "CT", "state": "accepted", "visit_number": number,
            "acquired_date": days[name], "content_digest": files.keep_bytes(make_scan(radii)), "image_count": SHAPE[2],
        }  # fmt: skip
    for number, name in enumerate(LESIONS_MM, start=1):
        more = {"injected_dates": [INJECTED_DAY]} if name == "T01" else {}
        yield "lesion", f"lesion{number}", "p1", {"lesion_label": name, "tracking_uid": f"2.25.9{number}", "location": "LIVER", **more}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("reads") / "home"
    people = {"cora": Role.COORDINATOR, "rea": Role.READER_1, "rob": Role.READER_2, "ada": Role.ADJUDICATOR}
    with make_record(home, mode="clinical") as record:
        with record.context.store.writing() as writer:
            for kind, item_id, patient_id, values in make_items(record.context.files):
                site = "" if kind == "site" else "s1"
                item = Item(kind=kind, item_id=item_id, site_id=site, patient_id=patient_id, version=1, values=values)  # fmt: skip
                create_item(record.context, writer, item=item)
        for login, role in people.items():
            _, secret = invite_account(record.context, login=login, display_name=login.title(), roles=[role], site_ids=["s1"])  # fmt: skip
            accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    running = start_server(home)
    yield running
    running.stop()


class Listener:
    """Every answer that a page was given, as text."""

    def __init__(self, case) -> None:
        self.answers: list[tuple[str, object]] = []
        case.page.on("response", lambda answer: self.answers.append((answer.url, answer)))

    def read(self) -> dict[str, str]:
        found = {}
        for url, answer in self.answers:
            if "/api/" in url and "json" in answer.headers.get("content-type", ""):
                found[url] = found.get(url, "") + answer.text()
        return found


def assign(case, *, reader: str) -> None:
    page = case.page
    page.get_by_role("button", name="Assign a read").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Patient", exact=True).select_option(label="01-007")
    dialog.get_by_label("Reader", exact=True).select_option(label=reader)
    dialog.get_by_label(re.compile("Visit 2, CT")).wait_for()
    dialog.get_by_role("button", name="Assign", exact=True).click()
    dialog.wait_for(state="detached")


def open_read(case) -> str:
    case.go("/reads")
    case.page.get_by_role("link", name="01-007").first.click()
    case.page.locator('[data-shown="all"]').wait_for()
    return case.page.url.rsplit("/", 1)[-1]


def choose(page, lesion: str, side: str) -> None:
    page.locator(f'tr[data-lesion="{lesion}"] button').click()
    page.keyboard.press({"left": "b", "right": "f"}[side])
    page.locator(f'[data-lesion="{lesion}"][data-side="{side}"]').wait_for()


def place(page, side: str, x_mm: float, y_mm: float) -> tuple[float, float]:
    """Where a point of the axial plane lies on the screen: the picture shows the whole scan, left on the right."""
    box = page.locator(f"#clip-{side} rect").evaluate(
        """rect => { const box = rect.ownerSVGElement.getBoundingClientRect(); const at = name => Number(rect.getAttribute(name));
        return {x: box.x + at("x"), y: box.y + at("y"), width: at("width"), height: at("height")}; }"""
    )
    wide, high = SHAPE[0] * SPACING_MM[0], SHAPE[1] * SPACING_MM[1]
    scale = min(box["width"] / wide, box["height"] / high)
    return (
        box["x"] + box["width"] / 2 + x_mm * scale,
        box["y"] + box["height"] / 2 + y_mm * scale,
    )


def drag(page, side: str, start, end) -> None:
    page.mouse.move(*place(page, side, *start))
    page.mouse.down()
    page.mouse.move(*place(page, side, *end), steps=6)
    page.mouse.up()


def draw(page, lesion: str, side: str) -> None:
    """Measure both axes of a ball with the ruler, and confirm with a key."""
    (x, y), radius = LESIONS_MM[lesion], RADII_MM[{"left": "base", "right": "follow"}[side]][lesion]
    choose(page, lesion, side)
    page.keyboard.press("m")
    page.locator('[data-axis="long"][data-ready]').wait_for()
    drag(page, side, (x - radius, y), (x + radius, y))
    page.locator('[data-axis="short"][data-ready]').wait_for()
    drag(page, side, (x, y - 0.8 * radius), (x, y + 0.8 * radius))
    page.locator('[data-axis="none"][data-ready]').wait_for()
    page.keyboard.press("c")
    page.locator('[data-form][data-saved="true"]').wait_for()


def write(page, lesion: str, side: str, size_mm: float) -> None:
    """The same by numbers, with the keyboard."""
    choose(page, lesion, side)
    page.get_by_label("Longest diameter").fill(f"{size_mm:.1f}")
    page.get_by_label("Short axis (mm)").fill(f"{0.8 * size_mm:.1f}")
    page.get_by_label("Short axis (mm)").press("Enter")
    page.locator('[data-form][data-saved="true"]').wait_for()


def lock(case, *, shot: str = "") -> None:
    page = case.page
    page.get_by_role("button", name="Lock and sign").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Your password, once more").fill(WRONG)
    dialog.get_by_role("button", name="Lock and sign").click()
    dialog.get_by_role("alert").wait_for()
    if shot:
        case.shot(shot)
        case.check_accessible()
    dialog.get_by_label("Your password, once more").fill(PASSWORD)
    dialog.get_by_role("button", name="Lock and sign").click()
    page.locator('[data-read-state="locked"]').wait_for()
    page.locator('[data-signed="1"]').wait_for()


@pytest.mark.requirement("G-reads")
@pytest.mark.requirement("G-reads-blinded")
@pytest.mark.requirement("G-reads-numbers")
@pytest.mark.requirement("G-reads-lock")
@pytest.mark.requirement("G-reads-adjudicate")
def test_two_blinded_readers_measure_lock_and_sign_and_an_adjudicator_decides(server, browser):
    with open_case(browser, server, "reads-assign") as case:
        case.enter("cora")
        case.go("/reads")
        case.check_accessible()
        assign(case, reader="Rea, reader 1")
        assign(case, reader="Rob, reader 2")
        case.page.get_by_text("Reader 2, Rob").wait_for()
        case.shot("list")

    with open_case(browser, server, "reads-one") as case:
        told, page = Listener(case), case.page
        case.enter("rea")
        first = open_read(case)
        # Balls in a cylinder say nothing of how it is turned: this journey links by the table.
        page.get_by_label("Linked by").select_option("table")
        page.get_by_text("linked by table position").first.wait_for()
        for lesion in LESIONS_MM:
            draw(page, lesion, "left")
        case.shot("baseline")
        # Both scans stand at one height, and go on together.
        heights = page.locator("[data-height]").all_inner_texts()
        page.keyboard.press("ArrowUp")
        page.wait_for_function("before => document.querySelector('[data-height]').textContent !== before", arg=heights[0])  # fmt: skip
        after = page.locator("[data-height]").all_inner_texts()
        assert after[0] == after[1] != heights[0]
        page.keyboard.press("ArrowDown")
        choose(page, "T01", "right")
        page.locator('[data-ghost="T01"]').wait_for()
        draw(page, "T01", "right")
        draw(page, "T02", "right")
        case.shot("measured")
        case.check_accessible()
        answer = case.ask(f"/api/read/{first}/page")
        sizes = {
            (mark["scan_id"], lesion["name"]): mark["values"]
            for mark in answer["marks"]
            for lesion in answer["lesions"]
            if lesion["lesion_id"] == mark["values"]["lesion_id"]
        }
        for scan, column in (("base", "baseline"), ("follow", "followup")):
            for lesion, radius in RADII_MM[scan].items():
                values = sizes[scan, lesion]
                shown = page.locator(f'tr[data-lesion="{lesion}"] [data-size="{column}"]').inner_text()
                long_mm, ends = values["longest_diameter_mm"], np.array(values["ends_lps_mm"])
                assert abs(float(shown.split("\u202f")[0]) - long_mm) < ROUNDING_MM
                assert abs(np.linalg.norm(ends[1] - ends[0]) - long_mm) < ROUNDING_MM
                assert abs(np.linalg.norm(ends[3] - ends[2]) - values["short_axis_mm"]) < ROUNDING_MM
                assert abs(long_mm - 2 * radius) < HAND_MM
                middle = ends[:2].mean(axis=0)
                assert np.abs(middle[:2] - LESIONS_MM[lesion]).max() < HAND_MM, "on the patient's own side"
        assert {values.get("match_basis") for values in sizes.values()} == {None, "label"}
        page.get_by_role("tab", name="Response").click()
        (verdict,) = answer["verdicts"]["verdicts"]
        assert verdict["overall"] == "PR"
        assert page.locator('[data-visit="2"] [data-overall]').inner_text() == "PR"
        total = verdict["trail"]["numbers"]["sum"]
        assert f"{total:.1f}\u202fmm" in page.locator('[data-trail="2"]').inner_text()
        case.shot("response")
        case.check_accessible()
        lock_told = told.read()
        lock(case, shot="lock")
        assert page.get_by_role("button", name="Confirm").count() == 0
        assert page.get_by_role("button", name="New lesion").count() == 0
        for url, text in lock_told.items():
            for secret in SECRETS:
                assert secret not in text.replace("injection-day", ""), (url, secret)
        assert any(f"/api/read/{first}/page" in url for url in lock_told)

    with open_case(browser, server, "reads-two", size=TABLET) as case:
        told, page = Listener(case), case.page
        case.enter("rob")
        second = open_read(case)
        assert second != first
        for side, scan in (("left", "base"), ("right", "follow")):
            for lesion, radius in RADII_MM[scan].items():
                write(page, lesion, side, 2 * radius * (1.0 if scan == "base" else 1.6))
        page.get_by_role("button", name="New lesion").click()
        page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
        choose(page, "R2-N01", "right")
        page.get_by_label("State").select_option(label="Unequivocally new")
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Confirm").click()
        page.locator('[data-form][data-saved="true"]').wait_for()
        case.shot("tablet")
        case.check_accessible()
        page.keyboard.press("v")
        assert page.locator('[data-visit="2"] [data-overall]').inner_text() == "PD"
        texts = told.read()
        assert not any(secret in text for text in texts.values() for secret in SECRETS)
        assert not any(first in text for text in texts.values()), "nothing of the other reader's read"
        lock(case)

    with open_case(browser, server, "reads-decide") as case:
        case.enter("cora")
        case.go("/reads")
        (pair,) = case.ask("/api/reading")["pairs"]
        assert pair["responses"] == [["PR"], ["PD"]] and pair["responses_differ"]
        case.page.get_by_text("differs").wait_for()
        case.shot("pairs")
        case.check_accessible()
        case.page.get_by_role("button", name="Assign", exact=True).click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("Adjudicator", exact=True).select_option(label="Ada, adjudicator")
        dialog.get_by_role("button", name="Assign", exact=True).click()
        dialog.wait_for(state="detached")

    with open_case(browser, server, "reads-adjudicate") as case:
        page = case.page
        case.enter("ada")
        decision = open_read(case)
        answer = case.ask(f"/api/read/{decision}/page")
        for row in answer["differences"]:
            for field in row["fields"]:
                page.locator(
                    f'[data-difference="{row["visit_number"]}/{row["lesion_label"]}/{field}"]'
                ).wait_for()
        shown = page.locator('[data-visit="2"] [data-overall]').all_inner_texts()
        assert (
            shown == [part["verdicts"]["verdicts"][0]["overall"] for part in answer["pair"]] == ["PR", "PD"]
        )
        case.shot("differences")
        case.check_accessible()
        assert page.get_by_role("button", name="Lock and sign").is_disabled()
        page.get_by_role("button", name="Reader 1 holds").click()
        page.get_by_label("Reason").fill("the new lesion is a perfusion artefact")
        page.get_by_role("dialog").get_by_role("button", name="Choose").click()
        page.locator(f'[data-decision="{first}"]').wait_for()
        lock(case)
        case.shot("decided")
        assert page.get_by_role("button", name="Reader 1 holds").count() == 0
        read = case.ask(f"/api/read/{decision}")
        assert read["locked"] and read["values"]["chosen_read_id"] == first
        (signature,) = case.ask(f"/api/signatures/read/{decision}")
        assert signature["state"] == "valid"
