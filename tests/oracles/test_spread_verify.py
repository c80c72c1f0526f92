import pytest

from hepatica.planning.spread import verify


@pytest.mark.requirement("C-VERIFY")
def test_the_whole_analytic_suite_passes_and_covers_b1_to_b15():
    rows = verify.verify_spread()
    assert {row.case for row in rows} >= {f"B{n}" for n in range(1, 16)} | {"MMS", "JUMP", "BIND"}
    assert [f"{row.case} {row.quantity}: {row.error:.2e}" for row in rows if not row.passed] == []
