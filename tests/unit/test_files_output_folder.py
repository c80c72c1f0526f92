"""Output appears whole or not at all."""

from __future__ import annotations

import pytest

from hepatica.adapters.files.output_folder import stage_output
from hepatica.core.errors import OutputError, OutputExistsError

OLD = '{"outputs": {"plan.json": "0"}, "run": "old"}'
NEW = '{"outputs": {}, "run": "new"}'


def _leftovers(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.requirement("A-out-atomic")
def test_a_successful_run_leaves_exactly_the_target_folder(tmp_path):
    with stage_output(tmp_path / "plan") as stage:
        (stage / "manifest.json").write_text("{}")
    assert _leftovers(tmp_path) == ["plan"]
    assert _leftovers(tmp_path / "plan") == ["manifest.json"]


@pytest.mark.requirement("A-out-atomic")
def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), stage_output(tmp_path / "plan") as stage:
        (stage / "plan.json").write_text("{}")
        raise RuntimeError
    assert _leftovers(tmp_path) == []


@pytest.mark.requirement("A-out-atomic")
def test_an_earlier_result_is_kept_when_its_replacement_fails(tmp_path):
    target = tmp_path / "plan"
    target.mkdir()
    (target / "manifest.json").write_text(OLD)
    with pytest.raises(RuntimeError), stage_output(target, overwrite=True) as stage:
        (stage / "manifest.json").write_text(NEW)
        raise RuntimeError
    assert (target / "manifest.json").read_text() == OLD
    assert _leftovers(tmp_path) == ["plan"]


def test_an_earlier_result_is_replaced_only_on_request(tmp_path):
    target = tmp_path / "plan"
    target.mkdir()
    (target / "manifest.json").write_text(OLD)
    with pytest.raises(OutputExistsError), stage_output(target):
        pass
    with stage_output(target, overwrite=True) as stage:
        (stage / "manifest.json").write_text(NEW)
    assert (target / "manifest.json").read_text() == NEW
    assert _leftovers(tmp_path) == ["plan"]


def test_a_folder_with_a_persons_files_is_never_replaced(tmp_path):
    target = tmp_path / "documents"
    target.mkdir()
    (target / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputExistsError), stage_output(target, overwrite=True):
        pass
    assert (target / "thesis.txt").read_text() == "years of work"


@pytest.mark.requirement("A-out-atomic")
@pytest.mark.parametrize(
    ("manifest", "stranger"),
    [
        (OLD, "notes.txt"),
        (OLD, "more/photo.jpg"),
        ('{"name": "a web page"}', "index.html"),
        ("[]", "a"),
        ("{", "a"),
    ],
)
def test_files_that_no_manifest_names_are_never_deleted(tmp_path, manifest, stranger):
    target = tmp_path / "plan"
    (target / stranger).parent.mkdir(parents=True)
    (target / "manifest.json").write_text(manifest)
    (target / stranger).write_text("mine")
    with pytest.raises(OutputExistsError), stage_output(target, overwrite=True):
        pass
    assert (target / stranger).read_text() == "mine"


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "plan").write_text("a file")
    with pytest.raises(OutputExistsError), stage_output(tmp_path / "plan", overwrite=True):
        pass


def test_a_parent_that_is_a_file_is_a_coded_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError), stage_output(tmp_path / "file" / "plan"):
        pass
