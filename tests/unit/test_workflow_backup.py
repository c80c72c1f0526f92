"""What a backup cannot deliver is told on the backup."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from phantom import make_context, make_puncture

from hepatica.core.findings import Severity
from hepatica.planning.path.delivery import Delivery
from hepatica.workflows import choose_punctures, plan_case
from hepatica.workflows.choose_punctures import check_backup_volume

INJECTION = make_context().plan.allocation.injections[0]


@pytest.mark.requirement("A-backup-volume")
def test_a_backup_that_holds_everything_says_nothing():
    assert check_backup_volume(make_puncture("P1b", (-60, -110, 10)), INJECTION, left_ml=0.0, reason="") == ()


@pytest.mark.requirement("A-backup-volume")
def test_what_a_backup_has_no_room_for_is_a_finding_on_it_and_not_on_the_first_choice(monkeypatch):
    best, second = make_puncture("a", (-60, -110, 10)), make_puncture("b", (-60, -112, 10))
    path = replace(make_context().plan.paths[0], best=best, backup=second)
    allocation = make_context().plan.allocation
    monkeypatch.setattr(
        choose_punctures,
        "deliver_volume",
        lambda puncture, scene, *, lesion_id, volume_ml: Delivery(
            puncture=puncture,
            undelivered_ml=0.0 if puncture.puncture_id == "P1" else 0.5,
            reason="" if puncture.puncture_id == "P1" else "the track has room for one stop",
            coverage_fraction=0.5,
        ),
    )
    scene = SimpleNamespace(needle=best.needle)
    joined, chosen = plan_case._deposit(
        lambda *, unreachable, dead_space_ml: allocation, (path,), scene, named=True, own_scores={}
    )
    punctures, backups = chosen.punctures, chosen.backups
    assert (chosen.paths[0].best.puncture_id, chosen.paths[0].backup.puncture_id) == ("P1", "P1b")
    told = [f for f in backups[0].findings if f.rule == "path.backup_undelivered"]
    assert [(f.subject, f.severity, f.measured, f.unit) for f in told] == [
        ("P1b", Severity.WARNING, 0.5, "ml")
    ]
    assert "0.500 of 2.000 mL for L1" in told[0].message and "room for one stop" in told[0].message
    assert not [f for f in punctures[0].findings if f.rule == "path.backup_undelivered"]
    assert joined.injections[0].undelivered_ml == 0.0
