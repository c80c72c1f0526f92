"""The house rules that a linter does not know."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from hepatica.core import errors
from hepatica.core.units import UNIT_SUFFIXES
from hepatica.entrypoints.cli.exit_status import EXIT_STATUS

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "hepatica"
MODULES = sorted(SOURCE.rglob("*.py"))
MOST_MODULE_LINES = 500
MOST_FUNCTION_LINES = 60
BANNED_NAMES = {"utils", "util", "helpers", "helper", "manager", "process", "misc", "common"}
PHYSICAL_WORDS = {
    "length",
    "diameter",
    "distance",
    "volume",
    "margin",
    "clearance",
    "spacing",
    "angle",
    "depth",
    "radius",
}
PERMISSIVE = (
    "MIT",
    "BSD",
    "Apache",
    "Python Software Foundation",
    "PSF",
    "ISC",
    "HPND",
    "Unlicense",
    "0BSD",
    "Zlib",
)
LICENCE_READ_BY_HAND = {
    "certifi": "MPL-2.0, unmodified",
    "pathspec": "MPL-2.0, unmodified",
    "hypothesis": "MPL-2.0, unmodified, tests only",
    "typst": "Apache-2.0",
}


def _core_distributions() -> set[str]:
    """Names of all distributions the core install pulls in, extras left out."""
    from packaging.requirements import Requirement

    seen: set[str] = set()
    queue = ["hepatica"]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                queue.append(requirement.name.lower())
    return seen - {"hepatica"}


def _licence(name: str) -> str:
    info = metadata.metadata(name)
    classifiers = [c for c in info.get_all("Classifier") or [] if c.startswith("License")]
    return " | ".join([info.get("License-Expression") or "", (info.get("License") or "")[:200], *classifiers])


@pytest.mark.requirement("A-licences")
@pytest.mark.parametrize("name", sorted(_core_distributions()))
def test_every_core_dependency_has_a_permissive_licence(name):
    licence = _licence(name)
    assert "GPL" not in licence.replace("LGPL", "GPL") or name in LICENCE_READ_BY_HAND, licence
    assert any(word in licence for word in PERMISSIVE) or name in LICENCE_READ_BY_HAND, licence


def test_the_constraints_file_names_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text and "@" not in text and "file:" not in text


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_and_functions_stay_small_and_well_named(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_MODULE_LINES
    assert path.stem not in BANNED_NAMES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            body = node.body
            first = body[1] if ast.get_docstring(node) and len(body) > 1 else body[0]
            assert node.end_lineno - first.lineno + 1 <= MOST_FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_public_float_fields_of_a_physical_kind_carry_a_unit(path):
    bare = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ClassDef):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and "float" in ast.unparse(field.annotation):
                name = ast.unparse(field.target)
                physical = PHYSICAL_WORDS & set(name.split("_"))
                if physical and not any(
                    name.endswith(f"_{unit}") or f"_{unit}_" in name for unit in UNIT_SUFFIXES
                ):
                    bare.append(f"{node.name}.{name}")
    assert bare == []


def _all_errors(cls: type) -> list[type]:
    return [cls, *(leaf for child in cls.__subclasses__() for leaf in _all_errors(child))]


@pytest.mark.requirement("A-errors")
def test_every_error_code_is_unique_and_has_an_exit_status_and_a_docs_entry():
    found = [cls for cls in _all_errors(errors.HepaticaError) if cls.__module__.startswith("hepatica")]
    codes = [cls.code for cls in found]
    assert len(codes) == len(set(codes))
    assert set(codes) == set(EXIT_STATUS)
    assert len(set(EXIT_STATUS.values())) == len(EXIT_STATUS)
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    assert [code for code in codes if f"`{code}`" not in page] == []


@pytest.mark.requirement("A-fast-help")
def test_help_loads_no_heavy_library():
    code = (
        "import sys; from hepatica.entrypoints.cli.main import app; "
        "heavy={'numpy','scipy','pydicom','highdicom','SimpleITK','numba','matplotlib','nibabel'}&set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_requirement_marker_is_listed_in_the_requirements_page():
    page = (ROOT / "docs" / "requirements.md").read_text()
    used = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.requirement"):
                used.update(ast.literal_eval(argument) for argument in node.args)
    assert sorted(name for name in used if f"`{name}`" not in page) == []


def test_every_id_on_the_requirements_page_is_shown_by_a_test():
    import re

    page = (ROOT / "docs" / "requirements.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    listed = set(re.findall(r"`([A-G]-[A-Za-z0-9+-]+)`", page))
    assert sorted(name for name in listed if f'"{name}"' not in tests) == []


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.parametrize("goal", ["demo", "test", "lint", "bench", "soak", "docs"])
def test_recipes_of_the_makefile_are_whole_shell_commands(goal, tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    printed = subprocess.run(
        ["make", "--dry-run", goal], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert subprocess.run(["bash", "-n"], input=printed, text=True, check=False).returncode == 0
    # An argument cut at a comma shows as a bracket that nobody closes.
    assert printed.count("'.[") == printed.count("]'")
