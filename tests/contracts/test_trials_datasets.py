"""Follow-up and response tables in the formats of data packages: CSV, SAS transport version 5, Dataset-JSON."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from typer.testing import CliRunner

from hepatica.core.errors import InputError
from hepatica.entrypoints.cli.trial import app

RUNNER = CliRunner()
FRAME = pd.DataFrame(
    {
        "USUBJID": [f"S{i}" for i in range(12)],
        "PARAMCD": ["OS"] * 6 + ["PFS"] * 6,
        "AVAL": [5.0, 8.0, 12.5, 20.0, 33.0, 43.0, 2.0, 4.0, 6.0, 8.0, 9.0, 11.0],
        "CNSR": [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
    }
)


def ask(*arguments):
    done = RUNNER.invoke(app, ["survival", *arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return json.loads(done.stdout)


def write(folder, kind):
    path = folder / "adtte.dat"
    if kind == "csv":
        FRAME.to_csv(path, index=False)
    elif kind == "xpt":
        import pyreadstat

        pyreadstat.write_xport(FRAME, str(path), file_format_version=5, table_name="ADTTE")
    else:
        types = {"USUBJID": "string", "PARAMCD": "string", "AVAL": "double", "CNSR": "integer"}
        path.write_text(
            json.dumps(
                {
                    "datasetJSONCreationDateTime": "2026-01-01T00:00:00",
                    "datasetJSONVersion": "1.1.0",
                    "itemGroupOID": "IG.ADTTE",
                    "records": len(FRAME),
                    "name": "ADTTE",
                    "label": "Time to event",
                    "columns": [
                        {"itemOID": f"IT.{name}", "name": name, "label": name, "dataType": kind_}
                        for name, kind_ in types.items()
                    ],
                    "rows": [[a, b, c, int(d)] for a, b, c, d in FRAME.itertuples(index=False)],
                }
            )
        )
    return str(path)


OPTIONS = ("--time", "AVAL", "--censor", "CNSR", "--param", "OS")


@pytest.mark.requirement("E-survival-datasets")
@pytest.mark.parametrize("kind", ["xpt", "json"])
def test_adtte_gives_the_same_answer_in_every_format(tmp_path, kind):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    plain = ask(write(tmp_path / "first", "csv"), *OPTIONS)
    assert (plain["groups"][0]["n"], plain["groups"][0]["events"]) == (6, 4)
    other = write(tmp_path / "second", kind)
    assert ask(other, *OPTIONS) == plain


@pytest.mark.requirement("E-survival-datasets")
def test_rows_of_several_endpoints_are_never_mixed(tmp_path):
    table = write(tmp_path, "csv")
    with pytest.raises(InputError, match="OS, PFS"):
        ask(table, "--time", "AVAL", "--censor", "CNSR")
    with pytest.raises(InputError, match="OS, PFS"):
        ask(table, "--time", "AVAL", "--censor", "CNSR", "--param", "DOR")
