"""What commands of follow-up refuse to write over: a folder, and the very tables they read."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from hepatica.core.errors import OutputError, UsageError
from hepatica.entrypoints.cli.main import app

TABLES = {
    "points.csv": "subject,date,response\nS1,2024-03-01,PR\n",
    "components.csv": "subject,date,target,nontarget,new_lesion\nS1,2024-03-01,PR,CR,N\n",
    "subjects.csv": "subject,reference_date\nS1,2024-01-01\n",
    "lb.csv": "USUBJID,LBTESTCD,LBSTRESN,LBSTRESU,LBSTNRLO,LBSTNRHI,LBDTC\nS1,ALT,30,U/L,,40,2024-03-01\n",
    "ae.csv": "USUBJID,AEDECOD,AETOXGR,AESTDTC,AEREL,AERELPR\nS1,Fatigue,1,2024-03-01,RELATED,\n",
    "patients.csv": "subject,dose,first_dose\nS1,1,2024-02-01\n",
    "log.csv": "subject,record,date,place\nS1,contact,2024-03-01,ward\n",
    "events.csv": "subject,visit,date\nS1,injection,2024-01-08\n",
    "tu.csv": "USUBJID,TULNKID,TUSTRESC,VISITNUM\nS1,T01,TARGET,1\n",
    "tr.csv": "USUBJID,TRLNKID,TRTESTCD,TRSTRESN,VISITNUM\nS1,T01,LDIAM,30,1\nS1,T01,LDIAM,20,2\n",
    "rs.csv": "USUBJID,RSTESTCD,RSSTRESC,RSDTC,VISITNUM,RSCAT\nS1,OVRLRESP,PR,2024-03-01,2,RECIST 1.1\n",
}
COMMANDS = {
    "best": "response best --timepoints points.csv --subjects subjects.csv --endpoint BOR",
    "compose": "response compose --criteria recist-1.1 --timepoints components.csv",
    "compare": "response compare --tu tu.csv --tr tr.csv --rs rs.csv",
    "visits": "visits --schedule tvec-liver --events events.csv --as-of 2024-03-05",
    "labs": "grade labs --lb lb.csv",
    "events": "grade events --ae ae.csv",
    "dlt": "grade dlt --definition pv10-liver --patients patients.csv --ae ae.csv --as-of 2024-03-05 "
    "--set attribution=agent --set evaluable.replace=true",
    "exposure": "grade exposure --log log.csv --as-of 2024-03-05",
}


def run(folder: Path, words: str, out: Path) -> None:
    arguments = [str(folder / word) if word in TABLES else word for word in words.split()]
    result = CliRunner().invoke(app, [*arguments, "--out", str(out), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TABLES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_an_input_is_never_overwritten_under_whatever_name(folder, command):
    words = COMMANDS[command]
    for name in [word for word in words.split() if word in TABLES]:
        link = folder / "link.csv"
        link.unlink(missing_ok=True)
        link.symlink_to(folder / name)
        for out in (folder / name, link):
            with pytest.raises(UsageError, match="none of the inputs"):
                run(folder, words, out)
        assert (folder / name).read_text(encoding="utf-8") == TABLES[name]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_in_place_of_the_output_file_is_a_coded_refusal(folder, command):
    (folder / "taken").mkdir()
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(OutputError, match="a folder of that name"):
        run(folder, COMMANDS[command], folder / "taken")
    assert sorted(path.name for path in folder.iterdir()) == before
