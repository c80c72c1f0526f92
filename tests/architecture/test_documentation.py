"""The documentation holds together: every page can be reached, every link leads somewhere, every command exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").split("\nnav:\n", 1)[1]
ENTRY = re.compile(r"^ {2}(?: {4})?- (?:[^:\n]+: )?(?P<page>[\w/-]+\.md)$")
SECTION = re.compile(r"^ {2}- [^:\n]+:$")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
COMMAND = re.compile(r"\bhepatica (?P<words>[a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)?)")


def test_every_page_stands_once_in_the_navigation():
    lines = [line for line in NAVIGATION.splitlines() if line.strip()]
    unread = [line for line in lines if not ENTRY.match(line) and not SECTION.match(line)]
    assert unread == []
    listed = sorted(found["page"] for line in lines if (found := ENTRY.match(line)))
    assert listed == sorted(page.relative_to(DOCS).as_posix() for page in PAGES)


def test_a_page_after_an_entry_of_the_top_level_belongs_to_a_section():
    before = ""
    for line in NAVIGATION.splitlines():
        if line.startswith("      - "):
            assert SECTION.match(before) or before.startswith("      - "), line
        before = line


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page):
    for found in LINK.finditer(page.read_text(encoding="utf-8")):
        target = found["target"].split("#")[0]
        if target and "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), found["target"]


def test_decisions_are_numbered_without_a_gap_and_all_listed():
    files = sorted((DOCS / "decisions").glob("0*.md"))
    assert [int(file.name[:4]) for file in files] == list(range(1, len(files) + 1))
    listed = (DOCS / "decisions" / "index.md").read_text(encoding="utf-8")
    for file in files:
        assert f"[{int(file.name[:4])}]({file.name})" in listed, file.name
        assert file.read_text(encoding="utf-8").startswith(f"# {int(file.name[:4])}. "), file.name
