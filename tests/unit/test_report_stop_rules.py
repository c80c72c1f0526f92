"""When to stop is data: with a source and a status, printed as they stand."""

from __future__ import annotations

import pytest
from phantom import make_context

from hepatica.adapters.reports import view as view_module
from hepatica.adapters.reports.view import derive_plan_view, read_stop_rules
from hepatica.core.evidence import Evidence, EvidenceStatus, EvidenceTable


@pytest.mark.requirement("A-stop-rules")
def test_every_stop_rule_is_printed_in_file_order_with_its_source():
    rules = list(read_stop_rules())
    view = derive_plan_view(make_context())
    assert view.stop_rules == tuple(rule.value for rule in rules) and len(rules) >= 4
    assert all(rule.source for rule in rules)
    assert view.stop_rules_unverified
    assert view.stops_unverified and view.capsule_unverified
    listed = {(row.text, row.status) for row in view.sources}
    assert {(f"stop rules: {rule.source}", rule.status.value) for rule in rules} <= listed


@pytest.mark.requirement("A-stop-rules")
def test_rules_that_were_checked_are_not_called_unverified(monkeypatch):
    rule = Evidence(key="pain", value="Pain", source="site handbook", status=EvidenceStatus.VERIFIED)
    table = EvidenceTable(name="site", version="1", digest="", entries={"pain": rule})
    monkeypatch.setattr(view_module, "read_stop_rules", lambda: table)
    view = derive_plan_view(make_context())
    assert (view.stop_rules, view.stop_rules_unverified) == (("Pain",), False)
