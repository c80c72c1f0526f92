"""``hepatica record``, ``backup``, ``restore``, ``audit``: one JSON document each, statuses as documented."""

from __future__ import annotations

import json
import stat

import pytest
from records import fill, make_context, to_patient
from sqlalchemy import text
from typer.testing import CliRunner

from hepatica.adapters.store.home import open_home
from hepatica.core.errors import (
    NoRecordError,
    NotFoundError,
    NotSetError,
    OutputError,
    OutputExistsError,
    SourceFormatError,
)
from hepatica.entrypoints.cli.main import app
from hepatica.workflows.change_item import create_item


def run(*arguments: object):
    result = CliRunner().invoke(app, [str(part) for part in (*arguments, "--json")])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


@pytest.fixture
def made(tmp_path):
    """A filled record whose checkpoint key lies elsewhere."""
    home, key = tmp_path / "home", tmp_path / "checkpoint.key"
    assert run("record", "init", "--home", home, "--key", key)[0] == 0
    opened = open_home(home)
    fill(make_context(opened))
    opened.close()
    return home, key


@pytest.mark.requirement("F-trail-key")
def test_the_key_lies_where_it_was_put_and_not_in_the_home(made):
    home, key = made
    assert len(key.read_bytes()) == 32 and stat.S_IMODE(key.stat().st_mode) == 0o600
    assert not (home / "keys" / "checkpoint.key").exists()
    with pytest.raises(NotSetError):
        run("audit", "checkpoint", "--home", home)
    with pytest.raises(NotFoundError):
        run("audit", "checkpoint", "--home", home, "--key", "absent")
    with pytest.raises(OutputError):
        run("record", "init", "--home", home.parent / "other", "--key", key)
    assert not (home.parent / "other").exists()


@pytest.mark.requirement("F-trail-key")
def test_a_whole_record_ends_with_0_one_that_cannot_be_judged_with_41_a_damaged_one_with_62(made):
    home, key = made
    status, document = run("audit", "verify", "--home", home)
    assert (status, document["whole"], document["judged"], document["events"]) == (0, True, True, 12)
    assert run("audit", "checkpoint", "--home", home, "--key", key)[0] == 0
    status, document = run("audit", "verify", "--home", home)
    assert (status, document["whole"], document["judged"]) == (41, True, False)
    assert run("audit", "verify", "--home", home, "--key", key)[0] == 0
    opened = open_home(home)
    with opened.engine.begin() as connection:
        connection.execute(text("UPDATE item SET version = 9 WHERE item_id = 'p2'"))
    opened.close()
    status, document = run("audit", "verify", "--home", home, "--key", key)
    assert (status, document["whole"]) == (62, False)
    assert [finding["rule"] for finding in document["findings"]] == ["audit.current"]


@pytest.mark.requirement("F-trail-head")
def test_an_exported_head_is_checked_and_another_file_refused(made, tmp_path):
    home, _ = made
    out = tmp_path / "head.json"
    status, document = run("audit", "head", "--home", home, "--out", out)
    assert status == 0 and json.loads(out.read_text()) == document and document["number"] == 12
    with pytest.raises(OutputExistsError):
        run("audit", "head", "--home", home, "--out", out)
    opened = open_home(home)
    with opened.store.writing() as writer:
        create_item(make_context(opened), writer, item=to_patient("p9"))
    opened.close()
    assert run("audit", "verify", "--home", home, "--head", out)[0] == 0
    out.write_text(json.dumps({**document, "hash": "0" * 64}))
    status, document = run("audit", "verify", "--home", home, "--head", out)
    assert status == 62 and [finding["rule"] for finding in document["findings"]] == ["audit.head"]
    out.write_text("{")
    with pytest.raises(SourceFormatError):
        run("audit", "verify", "--home", home, "--head", out)
    with pytest.raises(NotFoundError):
        run("audit", "verify", "--home", home, "--head", tmp_path / "absent")


@pytest.mark.requirement("F-backup-live")
def test_a_copy_is_put_back_and_verified_with_the_key_that_was_kept_elsewhere(made, tmp_path):
    home, key = made
    run("audit", "checkpoint", "--home", home, "--key", key)
    status, document = run("backup", "--home", home, "--out", tmp_path / "copy.tar")
    assert status == 0 and document["rows"]["event"] == 12 and document["damaged_files"] == []
    status, document = run(
        "restore", "--from", tmp_path / "copy.tar", "--home", tmp_path / "new", "--key", key
    )
    assert status == 0 and document["events"] == 12 and document["files"] == 1
    status, document = run("restore", "--from", tmp_path / "copy.tar", "--home", tmp_path / "third")
    assert status == 41 and document["whole"]


@pytest.mark.requirement("F-trail-erase")
def test_an_identity_is_erased_by_command_and_the_trail_names_nobody(made):
    home, _ = made
    assert run("record", "erase-identity", "--home", home, "--patient", "p1", "--reason", "request")[1] == {
        "erased": 1
    }
    held = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"Steinwasser" not in held
    assert run("audit", "verify", "--home", home)[0] == 0
    with pytest.raises(NotFoundError):
        run("record", "erase-identity", "--home", home, "--patient", "p1", "--reason", "request")


@pytest.mark.requirement("F-store-home")
def test_without_a_record_every_command_says_so(tmp_path):
    for words in (
        ("audit", "verify"),
        ("audit", "head", "--out", tmp_path / "x"),
        ("backup", "--out", tmp_path / "x"),
        ("record", "migrate"),
        ("record", "erase-identity", "--patient", "p", "--reason", "r"),
    ):
        with pytest.raises(NoRecordError):
            run(*words, "--home", tmp_path / "absent")
        assert not (tmp_path / "absent").exists()
