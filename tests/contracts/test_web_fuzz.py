"""Requests made at random from the interface's description: none may end in a fault of the server."""

from __future__ import annotations

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from web_record import open_web_record

from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import COOKIE
from hepatica.record.people import Role

EXAMPLES = 2
SOAK_EXAMPLES = int(os.environ.get("HEPATICA_SOAK_EXAMPLES", "100"))


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """A record with an account that has every role which sees patients, and items that identifiers can meet."""
    folder = tmp_path_factory.mktemp("fuzz")
    web = open_web_record(folder, services=WebServices(uploads=IncomingFolder(folder / "uploads")))
    web.add_patient()
    web.add("lesion", "0", {"lesion_label": "L", "tracking_uid": "2.25.1", "location": "LIVER"})
    roles = (
        Role.COORDINATOR,
        Role.INVESTIGATOR,
        Role.DATA_MANAGER,
        Role.MONITOR,
        Role.AUDITOR,
        Role.STATISTICIAN,
    )
    cookies = {
        "team": web.enter("team", *roles).cookies[COOKIE],
        "administrator": web.enter("boss", Role.ADMINISTRATOR).cookies[COOKIE],
        "reader": web.enter("rob", Role.READER_1).cookies[COOKIE],
    }
    yield web, cookies
    web.home.close()


def send_at_random(fuzzed, operation, *, examples, phases=None):
    web, cookies = fuzzed
    faults = []

    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def attack(case):
        for cookie in cookies.values():
            headers = {"x-hepatica": "1", "host": "127.0.0.1", "cookie": f"{COOKIE}={cookie}"}
            case.headers = {**dict(case.headers or {}), **headers}
            answer = case.call(base_url="http://127.0.0.1")
            if answer.status_code >= 500:
                faults.append((case.method, case.formatted_path, answer.status_code, answer.text[:300]))
            case.validate_response(answer, checks=[not_a_server_error])

    strategy = operation.as_strategy()
    import hypothesis

    hypothesis.given(case=strategy)(attack)()
    assert faults == []


def list_operations(fuzzed):
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", fuzzed[0].app, headers={"host": "127.0.0.1"})
    return [result.ok() for result in schema.get_all_operations()]


@pytest.mark.requirement("F-fuzz")
def test_no_request_made_from_the_description_is_answered_with_a_fault(fuzzed):
    operations = list_operations(fuzzed)
    assert len(operations) > 80
    for operation in operations:
        send_at_random(fuzzed, operation, examples=EXAMPLES)


@pytest.mark.soak
@pytest.mark.requirement("F-fuzz")
def test_no_request_made_from_the_description_is_answered_with_a_fault_for_long(fuzzed):
    for operation in list_operations(fuzzed):
        send_at_random(fuzzed, operation, examples=SOAK_EXAMPLES)
