"""The store, the same on SQLite and PostgreSQL: items, filters, pages, search, exactness."""

# ruff: noqa: F401  (fixtures are used by their names)
from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records import (
    change,
    create,
    list_rules,
    record_address,
    record_context,
    record_home,
    to_identity,
    to_patient,
    verify,
)
from sqlalchemy import text

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.record.event import FIRST_LINK, derive_hash, is_same_json
from hepatica.record.item import Item
from hepatica.workflows.change_item import create_item, remove_item, require_item
from hepatica.workflows.record_ports import ItemFilter
from hepatica.workflows.repeat_safely import do_once


def ids(context, **wanted) -> list[str]:
    with context.store.reading() as reader:
        return [item.item_id for item in reader.list_items(ItemFilter(kind="patient", **wanted)).items]


@pytest.mark.requirement("F-store-items")
def test_an_item_comes_back_as_it_was_written_and_each_change_adds_a_version_and_an_event(context):
    create(context, to_patient("p1", cohort="A"))
    change(context, "patient", "p1", 1, cohort="B", dose_level=3)
    with context.store.reading() as reader:
        item = reader.find_item("patient", "p1")
        events = list(reader.read_events(kind="patient", item_id="p1"))
    assert (item.version, dict(item.values)) == (
        2,
        {"subject_id": "S-p1", "status": "screening", "cohort": "B", "dose_level": 3},
    )
    assert [event.version for event in events] == [1, 2]
    assert [(c.field, c.old, c.new) for c in events[1].changes] == [
        ("cohort", "A", "B"),
        ("dose_level", None, 3),
    ]
    assert events[0].previous_hash == FIRST_LINK and events[1].previous_hash == events[0].hash
    assert all(event.hash == derive_hash(event) for event in events)


@pytest.mark.requirement("F-store-items")
def test_a_removed_identifier_goes_on_counting_when_it_is_used_again(context, home):
    create(context, to_patient("p1"))
    with context.store.writing() as writer:
        item = require_item(writer, kind="patient", item_id="p1")
        remove_item(context, writer, item=item, reason="twice")
    create(context, to_patient("p1", cohort="again"))
    with context.store.reading() as reader:
        assert reader.find_item("patient", "p1").version == 3
    assert verify(home).findings == ()


@pytest.mark.requirement("F-store-items")
def test_an_item_without_any_field_is_yielded_by_the_trail(context, home):
    create(context, Item(kind="identity", item_id="i", site_id="s1", patient_id="p", version=1, values={}))
    assert verify(home).findings == ()


@pytest.mark.requirement("F-store-items")
def test_a_block_that_raises_leaves_nothing(context):
    with pytest.raises(ZeroDivisionError), context.store.writing() as writer:
        create_item(context, writer, item=to_patient("p1"))
        raise ZeroDivisionError
    assert ids(context) == []
    with context.store.reading() as reader:
        assert reader.count_events() == 0


@pytest.mark.requirement("F-store-exact")
@settings(
    deadline=None,
    max_examples=20,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
        | st.sampled_from([1.0, 1e5, -0.0, 5e-324, "'", '"', "\\", "\u2028", "漢字", "𝄞"]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text("aé\"'$.[]% ", max_size=4), inner, max_size=3)
        ),
        max_leaves=6,
    )
)
def test_every_json_value_comes_back_to_the_last_digit_and_letter(context, value):
    number = context.clock.time.isoformat()
    item = Item(
        kind="measurement",
        item_id=f"m{number}",
        site_id="s",
        patient_id="p",
        version=1,
        values={"read_id": "r", "lesion_id": "l", "state": "PRESENT", "ends_lps_mm": [value]},
    )
    context.clock.now()
    with context.store.writing() as writer:
        create_item(context, writer, item=item)
    with context.store.reading() as reader:
        read = reader.find_item("measurement", item.item_id)
        (event,) = reader.read_events(kind="measurement", item_id=item.item_id)
    assert repr(read.values["ends_lps_mm"]) == repr([value])
    # The trail sorts names; everything else is as it was.
    assert is_same_json(next(c.new for c in event.changes if c.field == "ends_lps_mm"), [value])
    assert read.digest == item.digest and event.hash == derive_hash(event)


@pytest.mark.requirement("F-store-exact")
def test_one_and_one_point_nought_and_true_are_three_values(context):
    values = {"read_id": "r", "lesion_id": "l", "state": "PRESENT", "ends_lps_mm": [1]}
    create(context, Item(kind="measurement", item_id="m", patient_id="p", version=1, values=values))
    after = change(context, "measurement", "m", 1, ends_lps_mm=[1.0])
    assert after.version == 2
    assert change(context, "measurement", "m", 2, ends_lps_mm=[True]).version == 3


@pytest.mark.requirement("F-store-exact")
@pytest.mark.parametrize(
    "value", ["a\0b", "\ud800", [float("nan")], {"a": float("inf")}, [2**60], [(1, 2)]], ids=repr
)
def test_what_cannot_be_kept_exactly_is_refused_with_a_code(context, value):
    field = "cohort" if isinstance(value, str) else "ends_lps_mm"
    with pytest.raises(RecordInputError):
        if field == "cohort":
            create(context, to_patient("p1", cohort=value))
        else:
            values = {"read_id": "r", "lesion_id": "l", "state": "PRESENT", field: value}
            create(context, Item(kind="measurement", item_id="m", patient_id="p", version=1, values=values))


@pytest.mark.requirement("F-store-exact")
@pytest.mark.parametrize("item_id", ["", "x" * 201, "a\0", "\udfff"])
def test_an_identifier_that_cannot_be_kept_is_refused_with_a_code(context, item_id):
    with pytest.raises(RecordInputError):
        create(context, replace(to_patient("p1"), item_id=item_id))


@pytest.mark.requirement("F-store-pages")
def test_pages_follow_the_bytes_of_the_identifiers_whatever_language_the_database_speaks(context):
    names = ["a", "B", "_", "ä", "Z", "z-1", "z1", "10", "9", "É", "e", "漢"]
    create(context, *(to_patient(name) for name in names))
    seen, after = [], ""
    while True:
        with context.store.reading() as reader:
            page = reader.list_items(ItemFilter(kind="patient", after=after, limit=5))
        seen += [item.item_id for item in page.items]
        if not (after := page.next):
            break
    assert seen == sorted(names)


@pytest.mark.requirement("F-store-filters")
def test_filters_compare_by_the_type_of_the_field(context):
    create(
        context,
        to_patient("p1", dose_level=2, cohort="2"),
        to_patient("p2", site_id="s2", dose_level=10),
        to_patient("p3", site_id="", cohort="true"),
    )
    assert ids(context, where={"dose_level": 2}) == ["p1"] == ids(context, where={"dose_level": 2.0})
    assert ids(context, where={"cohort": "2"}) == ["p1"]
    assert ids(context, where={"dose_level": None}) == ["p3"]
    for where in ({"dose_level": "2"}, {"dose_level": True}, {"cohort": 2}, {"cohort": True}, {"unknown": 1}):
        assert ids(context, where=where) == []
    assert ids(context, where={"x' OR 1=1 --": "y"}) == [] == ids(context, where={"cohort": "' OR '1'='1"})
    assert ids(context, site_ids=frozenset({"s2"})) == ["p2", "p3"]
    assert ids(context, site_ids=frozenset()) == ["p3"]
    assert ids(context, patient_id="p2") == ["p2"]


@pytest.mark.requirement("F-store-filters")
def test_numbers_and_flags_are_found_whatever_their_size(context):
    values = {"read_id": "r", "lesion_id": "l", "state": "PRESENT"}
    for name, length in (("m1", 1e2), ("m2", 31), ("m3", 0.1), ("m4", 31.5)):
        item = Item(kind="measurement", item_id=name, patient_id="p", version=1, values=values)
        create(context, replace(item, values={**values, "longest_diameter_mm": length}))
    for wanted, found in ((100, ["m1"]), (31.0, ["m2"]), (0.1, ["m3"]), (31.5, ["m4"]), (3e9, [])):
        with context.store.reading() as reader:
            page = reader.list_items(ItemFilter(kind="measurement", where={"longest_diameter_mm": wanted}))
        assert [item.item_id for item in page.items] == found


@pytest.mark.requirement("F-store-search")
def test_a_search_takes_every_letter_as_itself(context):
    cohorts = {
        "p1": "50 % done",
        "p2": "A_B",
        "p3": "AXB",
        "p4": 'O\'Neill "x"',
        "p5": "a/b\\c",
        "p6": "Groß",
    }
    create(context, *(to_patient(name, cohort=cohort) for name, cohort in cohorts.items()))
    for search, found in {
        "%": ["p1"],
        "50 %": ["p1"],
        "_": ["p2"],
        "a_b": ["p2"],
        "O'N": ["p4"],
        '"x"': ["p4"],
        "/": ["p5"],
        "\\": ["p5"],
        "GROSS": ["p6"],
        "'; DROP TABLE item; --": [],
        "a\0b": [],
        "\ud800": [],
        "S-p3": ["p3"],
    }.items():
        assert ids(context, search=search) == found, search
    assert len(ids(context)) == 6
    with pytest.raises(RecordInputError):
        ids(context, search="x" * 201)
    with context.store.reading() as reader:
        assert reader.count_items(ItemFilter(kind="patient", search="s-p", limit=1)) == 6


@pytest.mark.requirement("F-store-sealed")
def test_sealed_values_lie_apart_and_neither_trail_nor_search_nor_filter_shows_them(context, home):
    create(context, to_identity("p1"))
    change(context, "identity", "i-p1", 1, family_name="Steinwasser")
    with home.engine.connect() as connection:
        rows = (
            connection.execute(text("SELECT * FROM item")).all()
            + connection.execute(text("SELECT * FROM event")).all()
        )
        (hidden,) = connection.execute(text("SELECT content FROM sealed_item")).all()
    assert "Quellenbrunn" not in repr(rows) and "Steinwasser" not in repr(rows) and "1951" not in repr(rows)
    assert "Steinwasser" in repr(hidden)
    with context.store.reading() as reader:
        assert reader.find_item("identity", "i-p1").values["family_name"] == "Steinwasser"
        for wanted in ({"search": "stein"}, {"where": {"family_name": "Steinwasser"}}):
            assert reader.list_items(ItemFilter(kind="identity", **wanted)).items == ()
    assert verify(home).findings == ()


@pytest.mark.requirement("F-store-sealed")
def test_the_same_name_of_two_patients_has_two_seals(context):
    create(context, to_identity("p1"), to_identity("p2"))
    with context.store.reading() as reader:
        seals = [
            c.new for e in reader.read_events(kind="identity") for c in e.changes if c.field == "family_name"
        ]
    assert len(set(seals)) == 2 and all(seal.startswith("seal:") for seal in seals)


@pytest.mark.requirement("F-store-once")
def test_a_request_that_comes_again_is_answered_from_its_row_and_a_failed_one_leaves_none(context):
    answers = iter(({"number": 1.0, "text": "ü", "none": None}, {"number": 2}))
    first = do_once(context, key="k", request={"a": 1}, act=lambda writer: next(answers))
    assert repr(do_once(context, key="k", request={"a": 1}, act=lambda writer: next(answers))) == repr(first)
    with pytest.raises(ConflictError):
        do_once(context, key="k", request={"a": 2}, act=lambda writer: next(answers))

    def fail(writer):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        do_once(context, key="other", request={"a": 1}, act=fail)
    assert do_once(context, key="other", request={"a": 1}, act=lambda writer: next(answers)) == {"number": 2}
