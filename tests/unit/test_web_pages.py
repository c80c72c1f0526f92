"""The built pages: colours with the meaning of the printed sheet, size, licences, nothing from other hosts."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest
from browser_case import BUILT, require_browser

from hepatica.adapters.reports import palette

ROOT = Path(__file__).parents[2]
THEME = ROOT / "web" / "src" / "ui" / "theme.css"
FIRST_BYTES_MOST = 600_000
"""Gzip size of everything before the viewer's own chunks, from the issue."""
MEANINGS = {
    "needle": palette.NEEDLE,
    "injected": palette.INJECTED,
    "non-injected": palette.NON_INJECTED,
    "new-lesion": palette.NEW_LESION,
    "spread": palette.SPREAD,
    "liver": palette.LIVER_SURFACE,
    "other": palette.OTHER,
    "casing": palette.CASING,
}
PERMISSIVE = {
    "MIT",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "Apache-2.0",
    "Unlicense",
    "0BSD",
    "CC0-1.0",
    "MIT-0",
    "BlueOak-1.0.0",
}


@pytest.mark.requirement("G-colours")
@pytest.mark.parametrize("name", sorted(MEANINGS))
def test_a_colour_means_the_same_on_the_page_as_on_the_sheet(name):
    (value,) = re.findall(rf"^\s*--{name}:\s*(#[0-9a-f]{{6}});", THEME.read_text(), flags=re.M)
    assert value.lower() == MEANINGS[name].lower()


@pytest.mark.requirement("G-licences")
def test_everything_built_into_the_pages_is_permissive():
    locked = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    shipped = {name: facts for name, facts in locked.items() if name and not facts.get("dev")}
    assert shipped
    assert {
        name: facts.get("license")
        for name, facts in shipped.items()
        if facts.get("license") not in PERMISSIVE
    } == {}


@pytest.mark.requirement("G-licences")
def test_the_lock_names_no_registry():
    locked = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    assert {name for name, facts in locked.items() if "resolved" in facts} == set()


@pytest.fixture(scope="module")
def built():
    require_browser()
    return BUILT.parent


@pytest.mark.requirement("G-bundle")
def test_what_loads_before_the_viewer_is_small(built):
    (index,) = built.glob("assets/index-*.js")
    assert not _is_viewer(index)
    first = {built / "index.html", *built.rglob("*.css"), *_reach(index)}
    total = sum(len(gzip.compress(path.read_bytes())) for path in first)
    assert 0 < total < FIRST_BYTES_MOST


@pytest.mark.requirement("G-licences")
def test_the_licences_travel_with_the_pages(built):
    text = (built / "licences.txt").read_text()
    for name in ("react", "@niivue/niivue", "d3-scale"):
        assert re.search(rf"^{re.escape(name)} \d", text, flags=re.M)


@pytest.mark.requirement("G-no-other-hosts")
def test_the_first_page_asks_no_other_host(built):
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', (built / "index.html").read_text())


def _reach(start: Path) -> set[Path]:
    """Every script that can load without passing through the viewer: its codecs are its own chunks."""
    found, waiting = set(), [start]
    while waiting:
        path = waiting.pop()
        if path in found or _is_viewer(path):
            continue
        found.add(path)
        names = re.findall(r"[\w.-]+\.js", path.read_text(encoding="utf-8"))
        waiting += [path.parent / name for name in names if (path.parent / name).is_file()]
    return found


def _is_viewer(path: Path) -> bool:
    return (
        "niivue" in path.name.lower()
        or "viewer" in path.name.lower()
        or b"niivue" in path.read_bytes()[:4_000_000].lower()
    )
