"""Define-XML 2.1 from the same descriptions that write and check the datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hepatica.adapters.cdisc.dataset import Dataset, ValueType, Variable, read_dataset
from hepatica.adapters.cdisc.terms import VERSION
from hepatica.core.errors import OutputError

FILE_NAME: Final = "define.xml"
DATA_TYPES: Final = {
    ValueType.TEXT: "text",
    ValueType.INTEGER: "integer",
    ValueType.FLOAT: "float",
    ValueType.DATE: "integer",
}
ISO_TYPE: Final = "partialDate"
STANDARDS: Final = {
    "STD.ADAM": ("ADaMIG", "IG", "1.3"),
    "STD.SDTM": ("SDTMIG", "IG", "3.4"),
    "STD.CT": ("CDISC/NCI", "CT", VERSION.rpartition(" ")[2]),
}
SDTM_CLASSES: Final = ("FINDINGS", "EVENTS", "INTERVENTIONS", "SPECIAL PURPOSE")
VALUES_BY: Final = "PARAMCD"
LEVELLED: Final = ("AVAL", "AVALC")
"""Variables whose meaning depends on the parameter."""
DIGITS: Final = 6
FLOAT_LENGTH: Final = 16
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def write_define(folder: Path, datasets: Rows, *, file_format: str, study: str, run_time: datetime) -> str:
    """Write ``define.xml`` for the datasets of a folder and have odmlib check it; return its name.

    Parameters
    ----------
    folder
        Where the datasets lie.
    datasets
        Rows by name, for example ``adsl``.
    file_format
        Ending of the files that the definition links to.
    study
        STUDYID.
    run_time
        CreationDateTime.

    Raises
    ------
    OutputError
        If odmlib's conformance checks refuse what was built.
    """
    document = build_define(datasets, file_format=file_format, study=study, run_time=run_time)
    problems = check_define(document)
    if problems:
        raise OutputError(
            expected="a definition that conforms to Define-XML 2.1",
            given=problems[0],
            where=FILE_NAME,
            action="report this trial",
        )
    document.write_xml(str(folder / FILE_NAME))
    return FILE_NAME


def check_define(document: Any) -> list[str]:
    """Return what odmlib finds wrong: schema of every element, order, references that lead nowhere or are not used."""
    from odmlib.define_2_1.rules.metadata_schema import MetadataSchema
    from odmlib.exceptions import OdmlibError
    from odmlib.oid_generator import create_oid_checker

    problems = []
    checker = create_oid_checker("define_2_1")
    for check in (
        lambda: document.verify_conformance(MetadataSchema()),
        document.verify_order,
        lambda: document.verify_oids(checker),
    ):
        try:
            check()
        except (OdmlibError, ValueError) as error:
            problems.append(str(error)[:300])
    if not problems:
        unused = document.unreferenced_oids(checker)
        problems += [f"{element} {oid} is never used" for oid, element in unused.items()]
    return problems


def build_define(datasets: Rows, *, file_format: str, study: str, run_time: datetime) -> Any:
    """Return the definition as an odmlib document."""
    import odmlib.define_2_1.model as model

    described = {name: read_dataset(name) for name in datasets}
    stamp = run_time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    version = model.MetaDataVersion(
        OID=f"MDV.{study}", Name=f"{study}, trial report", Description="Datasets of a Hepatica trial report",
        DefineVersion="2.1.0",
    )  # fmt: skip
    builder = _Builder(model)
    groups = [
        builder.build_group(dataset, datasets[name], file_format=file_format)
        for name, dataset in described.items()
    ]
    # In the order of the schema, which odmlib checks.
    version.Standards = _build_standards(model, described.values())
    version.ValueListDef = builder.value_lists
    version.WhereClauseDef = builder.where_clauses
    version.ItemGroupDef = groups
    version.ItemDef = builder.items
    version.CodeList = builder.code_lists
    version.MethodDef = builder.methods
    version.CommentDef = builder.comments
    words = {"StudyName": study, "StudyDescription": "Trial report", "ProtocolName": study}
    names = {key: getattr(model, key)(_content=text) for key, text in words.items()}
    return model.ODM(
        FileType="Snapshot", FileOID=f"DEFINE.{study}", CreationDateTime=stamp, ODMVersion="1.3.2",
        Originator="Hepatica", SourceSystem="Hepatica", Context="Other",
        Study=model.Study(
            OID=f"ST.{study}", GlobalVariables=model.GlobalVariables(**names), MetaDataVersion=version
        ),
    )  # fmt: skip


def _build_standards(model: Any, described: Any) -> Any:
    datasets = list(described)
    wanted = {_to_standard(dataset) for dataset in datasets}
    wanted |= {"STD.CT"} if any(v.codelist for dataset in datasets for v in dataset.variables) else set()
    entries = []
    for oid, (name, kind, version) in STANDARDS.items():
        if oid in wanted:
            extra = {"PublishingSet": "SDTM"} if kind == "CT" else {}
            entries.append(
                model.Standard(OID=oid, Name=name, Type=kind, Version=version, Status="Final", **extra)
            )
    return model.Standards(Standard=entries)


def _to_standard(dataset: Dataset) -> str:
    return "STD.SDTM" if dataset.category in SDTM_CLASSES else "STD.ADAM"


class _Builder:
    """Collects definitions that several datasets may share."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.items: list[Any] = []
        self.code_lists: list[Any] = []
        self.methods: list[Any] = []
        self.comments: list[Any] = []
        self.value_lists: list[Any] = []
        self.where_clauses: list[Any] = []

    def describe(self, text: str) -> Any:
        """Return a description."""
        return self.model.Description(TranslatedText=[self.model.TranslatedText(_content=text, lang="en")])

    def build_group(self, dataset: Dataset, rows: Sequence[Mapping[str, Any]], *, file_format: str) -> Any:
        """Return the definition of a dataset; its variables are collected."""
        model, name = self.model, dataset.name
        sdtm = _to_standard(dataset) == "STD.SDTM"
        leaf = model.leaf(ID=f"LF.{name}", href=f"{dataset.file_stem}.{file_format}")
        leaf.title = model.title(_content=f"{dataset.file_stem}.{file_format}")
        group = model.ItemGroupDef(
            OID=f"IG.{name}", Name=name, Repeating="No" if name == "ADSL" else "Yes", IsReferenceData="No",
            SASDatasetName=name, Domain=name, Purpose="Tabulation" if sdtm else "Analysis",
            Structure=dataset.structure, ArchiveLocationID=f"LF.{name}", StandardOID=_to_standard(dataset),
        )  # fmt: skip
        group.Description = self.describe(dataset.label)
        for order, variable in enumerate(dataset.variables, start=1):
            oid = f"IT.{name}.{variable.name}"
            reference = model.ItemRef(
                ItemOID=oid, OrderNumber=order, Mandatory="Yes" if variable.required else "No",
                **self._build_method(oid, variable),
            )  # fmt: skip
            if variable.name in dataset.keys:
                reference.KeySequence = dataset.keys.index(variable.name) + 1
            group.ItemRef.append(reference)
            self.items.append(self._build_item(oid, variable, dataset, rows))
        group.Class = model.Class(Name=dataset.category)
        group.leaf = leaf
        return group

    def _build_method(self, oid: str, variable: Variable) -> dict[str, str]:
        if variable.origin != "Derived":
            return {}
        self.methods.append(
            self.model.MethodDef(
                OID=f"MT.{oid}",
                Name=f"Derivation of {oid.removeprefix('IT.')}",
                Type="Computation",
                Description=self.describe(
                    variable.comment or f"Derivation of {variable.label}; see the reference."
                ),
            )
        )
        return {"MethodOID": f"MT.{oid}"}

    def _build_item(
        self, oid: str, variable: Variable, dataset: Dataset, rows: Sequence[Mapping[str, Any]]
    ) -> Any:
        model = self.model
        item = model.ItemDef(
            OID=oid, Name=variable.name, DataType=DATA_TYPES.get(variable.type, ISO_TYPE),
            SASFieldName=variable.name, **_measure(variable),
        )  # fmt: skip
        item.Description = self.describe(variable.label)
        if variable.comment and variable.origin != "Derived":
            item.CommentOID = f"COM.{oid}"
            self.comments.append(
                model.CommentDef(OID=f"COM.{oid}", Description=self.describe(variable.comment))
            )
        if variable.allowed:
            item.CodeListRef = model.CodeListRef(CodeListOID=f"CL.{oid}")
            self._build_code_list(oid, variable)
        item.Origin = [self._build_origin(variable.origin, sdtm=_to_standard(dataset) == "STD.SDTM")]
        if variable.name in LEVELLED and VALUES_BY in dataset.names:
            self._build_values(item, variable, dataset, rows)
        return item

    def _build_origin(self, text: str, *, sdtm: bool) -> Any:
        kind, _, source = text.partition(":")
        if kind == "Collected":
            return self.model.Origin(Type="Collected", Source="Investigator")
        origin = self.model.Origin(Type=kind, **({} if kind == "Predecessor" else {"Source": "Sponsor"}))
        if kind == "Predecessor":
            origin.Description = self.describe(
                source.strip() or "The dataset and variable named in SRCDOM and SRCVAR"
            )
        return origin

    def _build_code_list(self, oid: str, variable: Variable) -> None:
        model = self.model
        extra = {"StandardOID": "STD.CT"} if variable.codelist else {"IsNonStandard": "Yes"}
        entries = [model.EnumeratedItem(CodedValue=term) for term in sorted(variable.allowed)]
        if variable.codelist:
            for entry in entries:
                if entry.CodedValue in variable.terms:
                    entry.ExtendedValue = "Yes"
        self.code_lists.append(
            model.CodeList(
                OID=f"CL.{oid}",
                Name=f"{variable.codelist or variable.label} of {oid.removeprefix('IT.')}",
                DataType="text" if variable.type.is_text else "integer",
                EnumeratedItem=entries,
                **extra,
            )
        )

    def _build_values(
        self, item: Any, variable: Variable, dataset: Dataset, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Say what the variable is for each parameter that stands in the data."""
        model, base = self.model, f"{dataset.name}.{variable.name}"
        names = {
            row[VALUES_BY]: row.get("PARAM", "") for row in rows if row.get(variable.name) not in (None, "")
        }
        references = []
        for order, (code, label) in enumerate(sorted(names.items()), start=1):
            oid = f"{base}.{code}"
            value = model.ItemDef(
                OID=f"IT.{oid}", Name=variable.name, DataType=DATA_TYPES.get(variable.type, ISO_TYPE),
                **_measure(variable),
            )  # fmt: skip
            value.Description = self.describe(label or code)
            value.Origin = [self._build_origin(variable.origin, sdtm=False)]
            self.items.append(value)
            check = model.RangeCheck(
                Comparator="EQ", SoftHard="Soft", ItemOID=f"IT.{dataset.name}.{VALUES_BY}",
                CheckValue=[model.CheckValue(_content=code)],
            )  # fmt: skip
            self.where_clauses.append(model.WhereClauseDef(OID=f"WC.{oid}", RangeCheck=[check]))
            references.append(
                model.ItemRef(
                    ItemOID=f"IT.{oid}",
                    OrderNumber=order,
                    Mandatory="No",
                    WhereClauseRef=[model.WhereClauseRef(WhereClauseOID=f"WC.{oid}")],
                )
            )
        if references:
            item.ValueListRef = model.ValueListRef(ValueListOID=f"VL.{base}")
            self.value_lists.append(model.ValueListDef(OID=f"VL.{base}", ItemRef=references))


def _measure(variable: Variable) -> dict[str, Any]:
    if variable.type is ValueType.ISO_DATE:
        return {}
    if variable.type is ValueType.FLOAT:
        return {"Length": FLOAT_LENGTH, "SignificantDigits": DIGITS}
    extra = {"DisplayFormat": variable.sas_format} if variable.type is ValueType.DATE else {}
    return {"Length": variable.length if variable.type.is_text else 8, **extra}
