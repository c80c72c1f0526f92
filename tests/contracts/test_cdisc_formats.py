"""Datasets leave and come back in every format, and other programs read what is written."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from response_courses import course, days

from hepatica.adapters.cdisc.courses import read_courses
from hepatica.adapters.cdisc.dataset import check_dataset, list_datasets, read_dataset
from hepatica.adapters.cdisc.dataset_json import CHUNK, read_description
from hepatica.adapters.cdisc.dataset_writer import read_dataset_rows, write_dataset
from hepatica.adapters.cdisc.tables import TableFormat, read_header, read_rows, sniff_table
from hepatica.adapters.cdisc.tumour_writer import to_tumour_tables
from hepatica.core.errors import HepaticaError, InputError, NotFoundError, SourceFormatError
from hepatica.followup.verdict import Criterion, ResponseSettings, derive_verdicts
from hepatica.workflows.derive_response import EvaluatedCourse, ResponseRequest

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
ALL = ("csv", "xpt", "json", "ndjson")
SAS_DAY_OF_2024_01_02 = 23377  # days since 1960-01-01, as SAS counts


def time_row(subject="S1", **more):
    return {
        "STUDYID": "X", "USUBJID": subject, "PARAMCD": "PFS", "PARAM": "Progression-Free Survival", "AVAL": 85,
        "AVALM": 2.7926, "CNSR": 0, "STARTDT": date(2024, 1, 2), "ADT": date(2024, 3, 26), "EVNTDESC": "Death",
        "RULEID": "death", "RULESET": "itt", **more,
    }  # fmt: skip


def write(folder: Path, rows, *formats, name="adtte"):
    return write_dataset(rows, read_dataset(name), folder, run_time=NOW, formats=formats)


@pytest.mark.requirement("D-write-sdtm")
@pytest.mark.parametrize("word", ALL)
def test_typed_values_come_back_from_every_format_sorted_by_key(tmp_path, word):
    rows = [
        time_row("S2", SRCSEQ=3, AVALM=0.1),
        time_row("S1", TRTP="VIRUS 10⁶" if word != "xpt" else "VIRUS"),
    ]
    (name,) = write(tmp_path, rows, word)
    back = list(read_dataset_rows(tmp_path / name, read_dataset("adtte")))
    wanted = [
        {k: r.get(k) or (0 if k == "CNSR" else None) for k in read_dataset("adtte").names} for r in rows[::-1]
    ]
    assert back == wanted


@pytest.mark.requirement("D-xpt")
def test_a_transport_file_holds_sas_dates_labels_and_the_time_of_the_run(tmp_path):
    import pyreadstat

    write(tmp_path, [time_row()], "xpt")
    raw = (tmp_path / "adtte.xpt").read_bytes()
    found, meta = pyreadstat.read_xport(tmp_path / "adtte.xpt", disable_datetime_conversion=True)
    assert found["STARTDT"][0] == SAS_DAY_OF_2024_01_02
    assert meta.original_variable_types["STARTDT"] == "DATE9"
    assert meta.column_names_to_labels["CNSR"] == "Censor"
    assert (meta.table_name, meta.file_label) == ("ADTTE", "Time-to-Event Analysis")
    assert raw.count(b"04MAR26:05:06:07") == 4
    write(tmp_path, [time_row()], "xpt")
    assert (tmp_path / "adtte.xpt").read_bytes() == raw


@pytest.mark.requirement("D-xpt")
def test_transport_files_of_old_systems_with_windows_letters_and_special_missing_values_are_read(tmp_path):
    write(tmp_path, [time_row(TRTP="CAFE", AVALM=None)], "xpt")
    path = tmp_path / "adtte.xpt"
    raw = path.read_bytes().replace(b"CAFE", b"CAF\xe9")
    # SAS writes an ordinary missing number as a point and seven zeros, a special one (.A) as a letter.
    path.write_bytes(raw.replace(b"." + b"\0" * 7, b"A" + b"\0" * 7))
    ((line, cells),) = read_rows(path, required=("trtp", "AVALM", "STARTDT"), optional=("NONE",))
    assert (line, cells) == (2, ("CAFé", "", "2024-01-02", ""))


@pytest.mark.requirement("D-xpt")
def test_text_beyond_ascii_or_200_bytes_is_refused_for_a_transport_file_without_quoting_it(tmp_path):
    with pytest.raises(InputError, match=r"ADTTE\.TRTP") as refusal:
        write(tmp_path, [time_row(TRTP="Müller")], "xpt")
    assert "ller" not in str(refusal.value)
    assert not list(tmp_path.iterdir())
    with pytest.raises(InputError, match="more than 200 bytes"):
        write(tmp_path, [time_row(TRTP="x" * 201)], "csv")


@pytest.mark.requirement("D-xpt")
def test_more_rows_than_one_block_are_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("hepatica.adapters.cdisc.xpt_table.BLOCK_ROWS", 7)
    rows = [time_row(f"S{n:02d}", AVAL=n + 1) for n in range(21)]
    write(tmp_path, rows, "xpt")
    found = list(read_rows(tmp_path / "adtte.xpt", required=("USUBJID", "AVAL")))
    assert found == [(n + 2, (f"S{n:02d}", str(n + 1))) for n in range(21)]


SHAPE = {
    "type": "object",
    "required": [
        "datasetJSONCreationDateTime", "datasetJSONVersion", "itemGroupOID", "records", "name", "label", "columns",
    ],
    "additionalProperties": False,
    "properties": {
        "datasetJSONCreationDateTime": {
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?([+-]\d{2}:\d{2}|Z)?$",
        },
        "datasetJSONVersion": {"type": "string", "pattern": r"^1\.1(\.(0|[1-9][0-9]*))?$"},
        **{key: {"type": "string"} for key in ("fileOID", "dbLastModifiedDateTime", "originator", "metaDataRef")},
        **{key: {"type": "string", "minLength": 1} for key in ("studyOID", "metaDataVersionOID", "itemGroupOID", "name")},
        "sourceSystem": {"type": "object", "required": ["name", "version"]},
        "records": {"type": "integer", "minimum": 0},
        "label": {"type": "string"},
        "columns": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["itemOID", "name", "label", "dataType"],
                "properties": {
                    "itemOID": {"type": "string", "minLength": 1},
                    "name": {"type": "string", "minLength": 1},
                    "label": {"type": "string"},
                    "dataType": {
                        "enum": [
                            "string", "integer", "decimal", "float", "double", "boolean", "datetime", "date", "time",
                            "URI",
                        ]
                    },
                    "targetDataType": {"enum": ["integer", "decimal"]},
                    "length": {"type": "integer", "minimum": 1},
                    "displayFormat": {"type": "string"},
                    "keySequence": {"type": "integer", "minimum": 1},
                },
            },
        },
        "rows": {"type": "array", "items": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}}},
    },
}  # fmt: skip
"""The tables of attributes in the Dataset-JSON 1.1 specification of 2024-12-05, written down as a schema."""


@pytest.mark.requirement("D-dataset-json")
@pytest.mark.parametrize("name", list_datasets())
def test_every_dataset_is_written_in_the_published_shape_and_another_program_reads_it(tmp_path, name):
    import jsonschema
    from odmlib.dataset_json_1_1.model import DatasetJSON

    rows = [time_row()] if name == "adtte" else []
    write(tmp_path, rows, "json", "ndjson", name=name)
    document = json.loads((tmp_path / f"{name}.json").read_text())
    jsonschema.Draft202012Validator(SHAPE).validate(document)
    lines = (tmp_path / f"{name}.ndjson").read_text().splitlines()
    assert {**json.loads(lines[0]), "rows": [json.loads(line) for line in lines[1:]]} == document
    other = DatasetJSON.read_json(tmp_path / f"{name}.json")
    assert tuple(other.column_names) == read_dataset(name).names
    assert other.records == len(rows)


@pytest.mark.requirement("D-dataset-json")
def test_dates_are_text_that_becomes_a_number_and_keys_are_numbered(tmp_path):
    write(tmp_path, [time_row()], "json")
    document = json.loads((tmp_path / "adtte.json").read_text())
    columns = {column["name"]: column for column in document["columns"]}
    assert columns["ADT"]["dataType"] == "date"
    assert (columns["ADT"]["targetDataType"], columns["ADT"]["displayFormat"]) == ("integer", "DATE9.")
    assert document["rows"][0][list(columns).index("ADT")] == "2024-03-26"
    assert [columns[key]["keySequence"] for key in ("STUDYID", "USUBJID", "PARAMCD")] == [1, 2, 3]


def plain(rows, **changes):
    column = {"itemOID": "IT.A", "label": "A", "dataType": "string"}
    return {
        "datasetJSONCreationDateTime": "2024-01-01T00:00:00", "datasetJSONVersion": "1.1.0", "itemGroupOID": "IG.TU",
        "records": len(rows), "name": "TU", "label": "t",
        "columns": [{**column, "name": "A"}, {**column, "name": "B"}], "rows": rows, **changes,
    }  # fmt: skip


@pytest.mark.requirement("D-dataset-json")
@pytest.mark.parametrize("chunk", [1, 3, CHUNK])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_is_streamed_whatever_its_layout_and_wherever_it_is_cut(
    tmp_path, monkeypatch, chunk, indent
):
    monkeypatch.setattr("hepatica.adapters.cdisc.dataset_json.CHUNK", chunk)
    monkeypatch.setattr("hepatica.adapters.cdisc.dataset_json.MOST_LINE", 20)
    rows = [['x,]}"', 1], [None, 2.50], ["é", 12345678], [True, -1e-3]]
    document = plain(rows)
    for order in (list(document), list(document)[::-1]):
        path = tmp_path / "t"
        path.write_text(
            "\ufeff" + json.dumps({key: document[key] for key in order}, indent=indent), encoding="utf-8"
        )
        assert sniff_table(path) is TableFormat.JSON
        found = [cells for _, cells in read_rows(path, required=("A", "B"))]
        assert found == [('x,]}"', "1"), ("", "2.5"), ("é", "12345678"), ("true", "-0.001")]
        assert read_header(path) == ("A", "B")


@pytest.mark.requirement("D-dataset-json")
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(plain([["a", "b"]]))[:-4],
        json.dumps(plain([["a", "b"]], records=2)),
        json.dumps(plain([], datasetJSONVersion="1.0.0")),
        json.dumps({"name": "TU"}),
        json.dumps(plain([], columns=[{"name": "A"}])),
        json.dumps(plain([], columns=[{"itemOID": "I", "name": "A", "label": "", "dataType": "blob"}])),
        json.dumps(plain([], columns="A")),
        json.dumps(plain([{"A": 1}])),
        "{" * 100_000,
        '{"rows": [[1]], "rows": [[2]]}',
    ],
)
def test_a_broken_or_foreign_document_is_refused_by_its_role_never_by_its_file_name(tmp_path, text):
    path = tmp_path / "John_Smith.json"
    path.write_text(text)
    with pytest.raises(SourceFormatError, match="where: tu") as refusal:
        list(read_rows(path, required=("A",), role="tu"))
    assert "Smith" not in str(refusal.value)


@pytest.mark.requirement("D-dataset-json")
def test_a_row_of_another_length_is_a_bad_row_not_the_end(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(plain([["a", "b"], ["a"], ["c", "d"]])))
    assert list(read_rows(path, required=("B",))) == [(2, ("b",)), (3, None), (4, ("d",))]


@pytest.mark.requirement("D-sniff-tables")
def test_the_format_is_told_by_content_and_refusals_name_the_role(tmp_path):
    write(tmp_path, [time_row()], *ALL)
    for word, kind in zip(ALL, ("csv", "xpt", "json", "json")):
        path = (tmp_path / f"adtte.{word}").rename(tmp_path / f"{word}_as.csv")
        assert sniff_table(path) == kind
    eight = tmp_path / "John_Smith.xpt"
    eight.write_bytes(b"HEADER RECORD*******LIBV8   HEADER RECORD!!!!!!!" + b"0" * 40)
    cut = tmp_path / "Jane_Smith.xpt"
    cut.write_bytes((tmp_path / "xpt_as.csv").read_bytes()[:500])
    for path, words in ((eight, "version 8"), (cut, "SAS transport"), (tmp_path / "no_Smith", "nothing")):
        with pytest.raises((SourceFormatError, NotFoundError), match=words) as refusal:
            list(read_rows(path, required=("A",), role="tr"))
        assert "tr" in refusal.value.where and "Smith" not in str(refusal.value)


BAD = {
    "no such variable": {"OTHER": 1},
    "a required value is missing": {"AVAL": None},
    "a value that is not text": {"PARAM": 3},
    "a number that is not whole": {"AVAL": 1.5},
    "a value that is not a number": {"AVAL": "85"},
    "a number that is not finite": {"AVALM": float("nan")},
    "a value that is not a date": {"ADT": "2024-01-02"},
    "a value outside the terms": {"AVALU": "WEEKS"},
}


@pytest.mark.requirement("D-write-sdtm")
@pytest.mark.parametrize("fault", BAD)
def test_rows_that_do_not_fit_the_description_are_refused_whole(tmp_path, fault):
    with pytest.raises(InputError, match=fault):
        write(tmp_path, [time_row(), time_row("S2", **BAD[fault])], "csv", "json")
    assert not list(tmp_path.iterdir())


@pytest.mark.requirement("D-write-sdtm")
def test_equal_keys_codes_outside_the_terminology_false_dates_and_study_day_0_are_found():
    assert "same key" in check_dataset([time_row(), time_row()], read_dataset("adtte"))[0].message
    rs = {
        "STUDYID": "X",
        "DOMAIN": "RS",
        "USUBJID": "S",
        "RSSEQ": 1,
        "RSTESTCD": "OVRLRESP",
        "RSSTRESC": "PR",
    }
    assert check_dataset([{**rs, "RSDTC": "2024-03", "RSDY": -1}], read_dataset("rs")) == ()
    for name, value in (("RSSTRESC", "BETTER"), ("RSTESTCD", "OVERALL"), ("RSDTC", "3 May"), ("RSDY", 0)):
        (finding,) = check_dataset([{**rs, name: value}], read_dataset("rs"))
        assert finding.subject == f"RS.{name}"


@pytest.mark.requirement("D-write-sdtm")
def test_an_unknown_format_or_dataset_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="ndjson"):
        write(tmp_path, [], "xlsx")
    with pytest.raises(NotFoundError, match="adtte"):
        read_dataset("zz")


SIZES = st.one_of(st.none(), st.integers(0, 900).map(lambda n: n / 10))
LESIONS = st.fixed_dictionaries(
    {"T01": st.lists(SIZES, min_size=4, max_size=4), "T02": st.lists(SIZES, min_size=4, max_size=4)},
    optional={
        "NT01": st.lists(
            st.sampled_from(["PRESENT", "ABSENT", "UNEQUIVOCAL", "INCREASED"]), min_size=4, max_size=4
        ),
        "NEW01": st.sampled_from([["-", "-", "PRESENT", "PRESENT"], ["-", "PRESENT", "PRESENT", "ABSENT"]]),
    },
)


@pytest.mark.requirement("D-write-sdtm")
@pytest.mark.parametrize("word", ALL)
@settings(deadline=None, max_examples=15, derandomize=True)
@given(lesions=LESIONS)
def test_lesions_written_as_tu_and_tr_come_back_as_the_same_course_and_verdicts(
    tmp_path_factory, word, lesions
):
    made = course(lesions, nodes=["T02"], dates=days(0, 42, 84, 126))
    folder = tmp_path_factory.mktemp("round")
    item = EvaluatedCourse(
        study="X", subject="S1", evaluator="INDEPENDENT ASSESSOR", evaluator_id="READER 1", course=made,
        visit_numbers={}, study_days={2.0: "43"},
    )  # fmt: skip
    for name, rows in zip(("tu", "tr"), to_tumour_tables([item])):
        write(folder, rows, word, name=name)
    rules = ResponseSettings(criterion=Criterion.RECIST)
    request = ResponseRequest(lesions=folder / f"tu.{word}", results=folder / f"tr.{word}", settings=rules)
    (back,) = read_courses(request)
    assert back.course is not None, back.findings
    assert (back.evaluator, back.evaluator_id) == ("INDEPENDENT ASSESSOR", "READER 1")
    ours, theirs = (derive_verdicts(c, settings=rules) for c in (made, back.course))
    assert [(v.target, v.non_target, v.overall, v.visit.date) for v in theirs] == [
        (v.target, v.non_target, v.overall, v.visit.date) for v in ours
    ]


@pytest.mark.requirement("D-dataset-json")
@settings(deadline=None, max_examples=60, derandomize=True)
@given(cut=st.integers(0, 2500), byte=st.integers(0, 255))
def test_no_single_changed_byte_ends_in_anything_but_rows_or_a_coded_refusal(tmp_path_factory, cut, byte):
    folder = tmp_path_factory.mktemp("fuzz")
    write(folder, [time_row()], "json", "xpt")
    for name in ("adtte.json", "adtte.xpt"):
        raw = bytearray((folder / name).read_bytes())
        raw[cut % len(raw)] = byte
        (folder / name).write_bytes(raw)
        with contextlib.suppress(HepaticaError):
            list(read_rows(folder / name, required=("USUBJID",)))


def test_a_description_is_read_without_its_rows(tmp_path):
    write(tmp_path, [time_row()], "json")
    assert "rows" not in read_description(tmp_path / "adtte.json")


@pytest.mark.requirement("D-xpt")
def test_a_transport_file_cut_off_inside_a_row_is_refused_not_read_as_a_shorter_one(tmp_path):
    (name,) = write(tmp_path, [time_row(f"S{n}") for n in range(9)], "xpt")
    path = tmp_path / name
    whole = path.read_bytes()
    assert len(list(read_rows(path, required=("USUBJID",), role="adtte"))) == 9
    for kept in (len(whole) - 1, len(whole) - 80, len(whole) - 247):
        path.write_bytes(whole[:kept])
        with pytest.raises(SourceFormatError, match="cut off"):
            list(read_rows(path, required=("USUBJID",), role="adtte"))
