# ruff: noqa: F401  (fixtures are used by their names)
"""Steps of the tables: up on a filled record of every older version, on both databases, to the tables of this one."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from records import change, make_address, make_context, new_home, record_address, record_home, verify
from sqlalchemy import MetaData, String, inspect, text

from hepatica.adapters.store.backup import open_tar, read_head, restore_backup, take_rows, write_backup
from hepatica.adapters.store.database import open_engine
from hepatica.adapters.store.home import filling_home, migrate_home, open_home, write_marker, write_private
from hepatica.adapters.store.migrate import find_version, list_versions, migrate_on
from hepatica.adapters.store.tables import METADATA
from hepatica.core.errors import NoRecordError

RECORDS = Path(__file__).parents[1] / "data" / "records"
OLDER = list_versions()[:-1]
CHECKPOINT_KEY = b"fixture checkpoint key, 32 bytes" + bytes(1)


def put_older(version: str, folder: Path, address: str) -> None:
    """Put back a record as that version left it, without the steps that came later."""
    with open_tar(RECORDS / f"{version}.tar") as tar:
        head = read_head(tar)
        with filling_home(folder, database=address) as connection:
            migrate_on(connection, version)
            take_rows(tar, head, connection)
            write_private(folder / "keys" / "seal.key", tar.extractfile("keys/seal.key").read())
            write_marker(folder, record_id=head["record_id"], mode=head["mode"], own_database=not address)
            for entry in tar:
                if entry.name.startswith("files/"):
                    name = entry.name.removeprefix("files/")
                    write_private(folder / "files" / name[:2] / name, tar.extractfile(entry).read())


@pytest.mark.requirement("F-migrations")
def test_every_older_version_has_a_filled_record_to_migrate_from():
    assert OLDER and list_versions()[-1] == find_version()
    missing = [version for version in OLDER if not (RECORDS / f"{version}.tar").is_file()]
    assert missing == [], "run tools/make_record_fixture.py at that version, before its next step is added"


@pytest.mark.requirement("F-migrations")
@pytest.mark.parametrize("version", OLDER)
def test_a_filled_record_of_an_older_version_goes_up_and_is_whole(version, address, tmp_path):
    folder = tmp_path / "home"
    put_older(version, folder, address)
    with pytest.raises(NoRecordError, match=f"version {version}"):
        open_home(folder, database=address)
    assert migrate_home(folder, database=address) == (version, find_version())
    home = open_home(folder, database=address)
    report = verify(home, key=CHECKPOINT_KEY)
    assert report.findings == () and report.events == 23 and report.items == 12 and report.files == 1
    context = make_context(home)
    with context.store.reading() as reader:
        assert reader.find_item("identity", "i1").values["family_name"] == "Meyer-1"
        assert reader.find_item("patient", "p1").values["cohort"] == '50 % "A_B" \\ ß漢'
        credential = reader.accounts.find_credential(login="ada")
    assert credential is not None
    change(context, "identity", "i1", 2, family_name="Neudorf")
    change(context, "patient", "p1", 1, cohort="after")
    assert verify(home, key=CHECKPOINT_KEY).findings == ()
    write_backup(home, tmp_path / "copy.tar")
    home.close()


@pytest.mark.requirement("F-migrations")
@pytest.mark.parametrize("version", OLDER)
def test_a_copy_of_an_older_version_is_restored_as_one_of_this_version(version, address, tmp_path):
    home = restore_backup(RECORDS / f"{version}.tar", tmp_path / "home", database=address)
    report = verify(home, key=CHECKPOINT_KEY)
    assert report.findings == () and report.items == 12
    home.close()


@pytest.mark.requirement("F-migrations")
@pytest.mark.parametrize("way", ["new", "migrated"])
def test_the_steps_give_the_tables_that_the_program_knows(way, address, tmp_path):
    if way == "migrated":
        home = restore_backup(RECORDS / f"{OLDER[0]}.tar", tmp_path / "home", database=address)
    else:
        home = new_home(tmp_path / "home", address)
    with home.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, METADATA) == []
        if home.engine.dialect.name == "postgresql":
            assert _list_collations(connection) == {"C"}
    home.close()


def _list_collations(connection) -> set[str | None]:
    found = MetaData()
    found.reflect(connection)
    return {
        column.type.collation
        for table in found.tables.values()
        if table.name != "alembic_version"
        for column in table.columns
        if isinstance(column.type, String) and column.type.length
    }


@pytest.mark.requirement("F-migrations")
def test_a_newer_record_is_refused_and_a_step_that_fails_leaves_the_older_one(home, address, tmp_path):
    with home.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(NoRecordError, match="newer than this program"):
        open_home(tmp_path / "home", database=address)
    with pytest.raises(NoRecordError, match="newer than this program"):
        migrate_home(tmp_path / "home", database=address)
    folder = tmp_path / "older"
    if address:
        address = make_address("postgresql")
    put_older(OLDER[0], folder, address)
    engine = open_engine(address or f"sqlite:///{folder / 'record.sqlite'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seal_salt (in_the_way INTEGER)"))
        before = sorted(inspect(connection).get_table_names())
    with pytest.raises(Exception, match="record"):
        migrate_home(folder, database=address)
    with engine.connect() as connection:
        assert sorted(inspect(connection).get_table_names()) == before
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == OLDER[0]
    engine.dispose()
