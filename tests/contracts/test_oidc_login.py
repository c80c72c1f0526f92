"""Login by an identity provider, against a small one of our own; every way it can go wrong is refused."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from identity_provider import CLIENT, SECRET, IdentityProvider
from web_record import PASSWORD, open_web_record

from hepatica.bootstrap import SystemClock, make_identity_provider
from hepatica.bootstrap import people as bootstrap_people
from hepatica.core.errors import InputError, ProviderError
from hepatica.entrypoints.web.services import WebServices
from hepatica.entrypoints.web.settings import COOKIE, PROOF_COOKIE, START_COOKIE
from hepatica.record.people import Role
from hepatica.record.provider_login import to_subject_key
from hepatica.workflows.accounts import invite_account
from hepatica.workflows.enter_by_provider import reopen_for_administrator

pytestmark = pytest.mark.xdist_group("oidc")
HOST = "127.0.0.1"
LOGIN = "ada@house.example"


class MovedClock(SystemClock):
    """The time, some way off."""

    ahead = timedelta(0)

    def now(self):
        return super().now() + self.ahead


def write_settings(home, issuer, /, **more):
    values = {
        "issuer": issuer, "client_id": CLIENT, "public_url": "http://127.0.0.1:8765", "label": "House login",
        "client_secret_variable": "TEST_OIDC_SECRET", **more,
    }  # fmt: skip
    lines = [f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}" for name, value in values.items() if value is not None]  # fmt: skip
    (home / "oidc.toml").write_text("\n".join(lines))


def make_provider(home, **more):
    return make_identity_provider(home, hosts={HOST}, environment={"TEST_OIDC_SECRET": SECRET, **more})


@pytest.fixture(scope="module")
def shared_provider():
    provider = IdentityProvider()
    yield provider
    provider.stop()


@pytest.fixture
def house(tmp_path, shared_provider):
    """A server that trusts the provider, with a person invited under the address the provider has verified."""
    idp = shared_provider
    idp.change, idp.header, idp.sign_with, idp.answer_instead, idp.description = {}, {}, None, {}, {}
    idp.person = {"sub": "person-1", "email": LOGIN, "email_verified": True}
    clock = MovedClock()
    web = open_web_record(tmp_path, clock=clock)
    write_settings(web.home.folder, idp.issuer)
    web.app.state.services = WebServices(provider=make_provider(web.home.folder))
    web.invite("boss", Role.ADMINISTRATOR)
    yield SimpleNamespace(web=web, idp=idp, clock=clock, trust=lambda **more: trust(web, idp, **more))
    web.home.close()


def trust(web, idp, **more):
    write_settings(web.home.folder, idp.issuer, **more)
    web.app.state.services = WebServices(provider=make_provider(web.home.folder))


def invite(house, *roles, login=LOGIN, **more):
    account, link = invite_account(
        house.web.context, login=login, display_name="Ada", roles=roles or [Role.INVESTIGATOR],
        site_ids=["s1"], **more,
    )  # fmt: skip
    return account.item_id, link


def begin(house, client=None, path="/api/oidc/start", **body):
    client = client or house.web.client()
    answer = client.post(path, json=body if path.endswith("start") else None)
    assert answer.status_code == 200, answer.text
    return client, answer.json()["url"]


def come_back(client, address):
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}", follow_redirects=False)


def enter(house, client=None, **body):
    client, url = begin(house, client, **body)
    return client, come_back(client, house.idp.log_in(url))


def assert_refused(answer, status=401, code="authentication"):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert COOKIE not in answer.cookies
    for secret in (SECRET, "person-1", LOGIN, "127.0.0.1", "code-"):
        assert secret not in answer.text


def read_state(house, account_id):
    with house.web.context.store.reading() as reader:
        return (
            reader.find_item("account", account_id).values["state"],
            reader.accounts.find_credential(account_id=account_id).oidc_subject,
        )


def read_actions(house, account_id):
    with house.web.context.store.reading() as reader:
        return [(event.action.value, event.reason) for event in reader.read_events(kind="account", item_id=account_id)]  # fmt: skip


@pytest.mark.requirement("F-OIDC-login")
def test_an_invited_person_comes_in_by_the_verified_address_and_again_by_the_subject(house):
    account_id, _ = invite(house)
    client, answer = enter(house)
    assert answer.status_code == 303 and answer.headers["location"] == "/", answer.text
    kept = answer.headers.get_list("set-cookie")
    session = next(line for line in kept if line.startswith(COOKIE))
    assert "HttpOnly" in session and "SameSite=strict" in session
    me = client.get("/api/me").json()
    assert me["account_id"] == account_id and me["roles"] == ["investigator"]
    assert read_state(house, account_id) == ("active", to_subject_key(house.idp.issuer, "person-1"))
    # The address may change at the provider; the person stays the same.
    house.idp.person = {"sub": "person-1", "email": "other@house.example", "email_verified": True}
    client, answer = enter(house)
    assert answer.status_code == 303 and client.get("/api/me").json()["account_id"] == account_id
    actions = read_actions(house, account_id)
    assert [action for action, _ in actions] == ["create", "change", "link", "login", "login"]
    assert all("person-1" not in reason and LOGIN not in reason for _, reason in actions)
    assert house.web.client().get("/api/oidc").json() == {"provider": "House login", "passwords": True}


@pytest.mark.requirement("F-OIDC-login")
def test_the_login_asks_with_pkce_state_and_nonce_that_are_new_each_time(house):
    seen = [parse_qs(urlsplit(begin(house)[1]).query) for _ in range(2)]
    for name in ("state", "nonce", "code_challenge"):
        assert len(seen[0][name][0]) >= 43 and seen[0][name] != seen[1][name]
    assert seen[0]["redirect_uri"] == ["http://127.0.0.1:8765/api/oidc/callback"]
    assert SECRET not in str(seen)


@pytest.mark.requirement("F-OIDC-login")
def test_an_invitation_is_accepted_by_its_link_whatever_the_address(house):
    account_id, link = invite(house, login="by-link")
    house.idp.person = {"sub": "person-9"}
    client, answer = enter(house, link=link)
    assert answer.status_code == 303 and client.get("/api/me").json()["account_id"] == account_id
    refused = house.web.client().post("/api/oidc/start", json={"link": link})
    assert_refused(refused)


@pytest.mark.requirement("F-OIDC-accounts")
def test_nobody_comes_in_uninvited_unverified_disabled_expired_or_by_an_old_invitation(house):
    _, answer = enter(house)
    assert_refused(answer)
    with house.web.context.store.reading() as reader:
        assert reader.accounts.find_credential(login=LOGIN) is None
    account_id, link = invite(house)
    for unverified in (False, None, "yes"):
        house.idp.change = {"email_verified": unverified}
        assert_refused(enter(house)[1])
    house.idp.change = {}
    house.clock.ahead = timedelta(days=7, seconds=1)
    house.idp.change = {"exp": int(time.time()) + 10**6}
    assert_refused(enter(house)[1])
    house.clock.ahead, house.idp.change = timedelta(0), {}
    assert read_state(house, account_id) == ("invited", None)
    boss = house.web.client()
    boss.post("/api/login", json={"login": "boss", "password": PASSWORD})
    disable = {"state": "disabled", "reason": "left"}
    assert (
        boss.patch(f"/api/account/{account_id}", json=disable, headers={"if-match": '"1-x"'}).status_code
        == 200
    )
    assert_refused(house.web.client().post("/api/oidc/start", json={"link": link}))
    assert_refused(enter(house)[1])
    assert ("login_refused", "by the identity provider") in read_actions(house, account_id)


@pytest.mark.requirement("F-OIDC-accounts")
def test_a_linked_account_that_is_disabled_or_expired_stays_out_and_its_session_ends(house):
    account_id, _ = invite(house)
    client, _ = enter(house)
    boss = house.web.client()
    boss.post("/api/login", json={"login": "boss", "password": PASSWORD})
    for change in ({"state": "disabled"}, {"state": "active", "expires_date": "2020-01-01"}):
        version = boss.get(f"/api/account/{account_id}").headers["etag"]
        answer = boss.patch(
            f"/api/account/{account_id}", json={**change, "reason": "x"}, headers={"if-match": version}
        )
        assert answer.status_code == 200
        assert client.get("/api/me").status_code == 401
        assert_refused(enter(house)[1])


@pytest.mark.requirement("F-OIDC-accounts")
def test_an_account_with_a_password_is_not_taken_over_by_its_address(house):
    house.web.invite(LOGIN, Role.INVESTIGATOR)
    assert_refused(enter(house)[1])


@pytest.mark.requirement("F-OIDC-accounts")
def test_a_person_who_has_an_account_cannot_take_another_ones_invitation(house):
    first, _ = invite(house)
    enter(house)
    other, link = invite(house, login="other")
    assert_refused(enter(house, link=link)[1])
    assert read_state(house, other) == ("invited", None) and read_state(house, first)[0] == "active"


WRONG_TOKENS = {
    "wrong issuer": ({"iss": "http://127.0.0.1:1/realm"}, {}),
    "wrong audience": ({"aud": "another"}, {}),
    "no audience": ({"aud": None}, {}),
    "several audiences without a party": ({"aud": [CLIENT, "another"]}, {}),
    "another party": ({"aud": [CLIENT, "another"], "azp": "another"}, {}),
    "wrong nonce": ({"nonce": "x" * 43}, {}),
    "no nonce": ({"nonce": None}, {}),
    "nonce of another type": ({"nonce": ["x"]}, {}),
    "expired": ({"exp": int(time.time()) - 61}, {}),
    "no expiry": ({"exp": None}, {}),
    "not yet": ({"nbf": int(time.time()) + 600}, {}),
    "from the future": ({"iat": int(time.time()) + 600}, {}),
    "no subject": ({"sub": None}, {}),
    "subject that is no text": ({"sub": 7}, {}),
    "empty subject": ({"sub": ""}, {}),
    "endless subject": ({"sub": "x" * 256}, {}),
    "alg none": ({}, {"alg": "none"}),
    "public key as a secret": ({}, {"alg": "HS256"}),
    "algorithm that is not allowed": ({}, {"alg": "RS512"}),
}


@pytest.mark.requirement("F-OIDC-token")
@pytest.mark.parametrize("wrong", WRONG_TOKENS)
def test_a_token_that_is_not_for_this_login_is_refused(house, wrong):
    account_id, _ = invite(house)
    house.idp.change, house.idp.header = WRONG_TOKENS[wrong]
    assert_refused(enter(house)[1])
    assert read_state(house, account_id) == ("invited", None)
    house.idp.change, house.idp.header = {}, {}
    assert enter(house)[1].status_code == 303, "the same person with a right token comes in"


@pytest.mark.requirement("F-OIDC-token")
def test_the_algorithms_of_the_configuration_count_and_no_others(house):
    invite(house)
    house.trust(algorithms=["RS512", "PS256"])
    assert_refused(enter(house)[1])
    for algorithm in ("RS512", "PS256"):
        house.idp.header = {"alg": algorithm}
        assert enter(house)[1].status_code == 303


@pytest.mark.requirement("F-OIDC-token")
def test_clocks_may_differ_by_the_skew_and_no_more(house):
    invite(house)
    for late, status in ((55, 303), (65, 401)):
        house.idp.change = {"exp": int(time.time()) - late}
        assert enter(house)[1].status_code == status, late


@pytest.mark.requirement("F-OIDC-token")
def test_a_token_signed_by_another_key_under_the_same_name_is_refused(house):
    from joserfc.jwk import RSAKey

    invite(house)
    house.idp.sign_with = RSAKey.generate_key(2048, parameters={"kid": house.idp.keys[0].kid})
    assert_refused(enter(house)[1])


@pytest.mark.requirement("F-OIDC-token")
def test_a_changed_key_is_looked_up_and_made_up_ones_do_not_cause_a_storm(house):
    now = [0.0]
    house.web.app.state.services.provider._clock = lambda: now[0]
    invite(house)
    assert enter(house)[1].status_code == 303
    old = house.idp.keys[0]
    house.idp.rotate()
    now[0] = 11.0
    assert enter(house)[1].status_code == 303
    house.idp.sign_with, house.idp.header = old, {"kid": "made up"}
    before = house.idp.asked.count("/realm/keys")
    for _ in range(3):
        assert_refused(enter(house)[1])
    assert house.idp.asked.count("/realm/keys") == before
    house.idp.header = {"kid": old.kid}
    now[0] = 30.0
    assert_refused(enter(house)[1])


@pytest.mark.requirement("F-OIDC-state")
def test_an_answer_counts_once_in_the_browser_that_began_and_soon(house):
    invite(house)
    client, url = begin(house)
    back = house.idp.log_in(url)
    assert_refused(come_back(house.web.client(), back))  # another browser
    assert_refused(come_back(client, back.replace("state=", "state=x")))  # another state
    assert_refused(come_back(client, back.partition("?")[0]))  # no answer at all
    kept = client.cookies[START_COOKIE]
    forged = house.web.client(cookies={START_COOKIE: kept[:-1] + ("0" if kept[-1] != "0" else "1")})
    assert_refused(come_back(forged, back))
    house.clock.ahead = timedelta(minutes=11)
    assert_refused(come_back(client, back))  # too late
    house.clock.ahead = timedelta(0)
    assert come_back(client, back).status_code == 303
    again = house.web.client(cookies={START_COOKIE: kept})
    assert_refused(come_back(again, back))  # the same answer again


@pytest.mark.requirement("F-OIDC-state")
def test_a_code_taken_before_or_begun_elsewhere_is_refused(house):
    invite(house)
    client, url = begin(house)
    back = house.idp.log_in(url)
    house.idp.codes.clear()
    assert_refused(come_back(client, back))
    # A stolen code in a login of one's own: PKCE and nonce bind it to the other browser.
    victim = begin(house)[1]
    stolen = parse_qs(urlsplit(house.idp.log_in(victim)).query)["code"][0]
    thief, url = begin(house)
    assert_refused(come_back(thief, house.idp.log_in(url, code=stolen)))


@pytest.mark.requirement("F-OIDC-state")
def test_an_answer_of_another_issuer_or_a_refusal_is_none(house):
    invite(house)
    for more in ({"iss": "http://127.0.0.1:1/evil"}, {"error": "access_denied", "code": ""}, {"code": ""}):
        client, url = begin(house)
        assert_refused(come_back(client, house.idp.log_in(url, **more)))
    # A provider that promises to name itself must do so.
    house.idp.description = {"authorization_response_iss_parameter_supported": True}
    house.trust()
    client, url = begin(house)
    assert_refused(come_back(client, house.idp.log_in(url, iss="")))


@pytest.mark.requirement("F-OIDC-provider")
def test_a_provider_that_is_down_or_answers_nonsense_is_a_problem_of_its_own(house):
    invite(house)
    client, url = begin(house)
    back = house.idp.log_in(url)
    house.idp.answer_instead = {"/realm/token": (500, b"<html>Oh no</html>")}
    assert_refused(come_back(client, back), 502, "provider")
    for path, instead in {
        "/realm/.well-known/openid-configuration": [
            (500, b"{}"), (200, b"[]"), (200, b"no json"), (302, b"http://127.0.0.1:1/"), (200, b"{" * (2 << 20)),
        ],
        "/realm/keys": [(200, b'{"keys": []}'), (200, b'{"keys": [{"kty": "oct", "k": "AAAA"}]}'), (404, b"{}")],
        "/realm/token": [(200, b"{}"), (200, b"[]"), (200, b'{"id_token": 5}'), (401, b'{"error": "invalid_client"}')],
    }.items():  # fmt: skip
        for answer in instead:
            house.idp.answer_instead = {path: answer}
            house.trust()
            client = house.web.client()
            started = client.post("/api/oidc/start", json={})
            if started.status_code == 200:
                started = come_back(client, house.idp.log_in(started.json()["url"]))
            assert_refused(started, 502, "provider")
    house.idp.answer_instead = {}
    write_settings(house.web.home.folder, "http://127.0.0.1:9/realm")
    house.web.app.state.services = WebServices(provider=make_provider(house.web.home.folder))
    assert_refused(house.web.client().post("/api/oidc/start", json={}), 502, "provider")
    boss = house.web.client()
    assert boss.post("/api/login", json={"login": "boss", "password": PASSWORD}).status_code == 200
    assert boss.post("/api/oidc/logout").json() == {"url": ""} and boss.get("/api/me").status_code == 401


@pytest.mark.requirement("F-OIDC-provider")
@pytest.mark.parametrize("described", [
    {"issuer": "http://127.0.0.1:1/evil"}, {"token_endpoint": "http://evil.example/token"},
    {"jwks_uri": "file:///etc/passwd"}, {"authorization_endpoint": "javascript:alert(1)"}, {"jwks_uri": None},
])  # fmt: skip
def test_a_description_that_leads_elsewhere_is_refused(house, described):
    house.idp.description = described
    house.trust()
    assert_refused(house.web.client().post("/api/oidc/start", json={}), 502, "provider")


@pytest.mark.requirement("F-OIDC-session")
def test_the_session_ends_like_that_of_a_password_and_by_logging_out(house):
    invite(house)
    client, _ = enter(house)
    for minutes in (20, 40, 60):
        house.clock.ahead = timedelta(minutes=minutes)
        assert client.get("/api/me").status_code == 200, "each request renews it"
    house.clock.ahead = timedelta(minutes=91)
    assert client.get("/api/me").status_code == 401
    house.clock.ahead = timedelta(0)
    client, _ = enter(house)
    ended = client.post("/api/oidc/logout").json()["url"]
    assert ended.startswith(f"{house.idp.issuer}/end?client_id={CLIENT}&post_logout_redirect_uri=")
    assert client.get("/api/me").status_code == 401


@pytest.mark.requirement("F-OIDC-passwords")
def test_passwords_can_be_off_but_an_administrator_keeps_his_until_one_comes_in_by_the_provider(house):
    house.web.invite("nurse", Role.COORDINATOR)
    house.trust(local_passwords=False)
    assert house.web.client().get("/api/oidc").json()["passwords"] is False

    def log_in(login):
        return house.web.client().post("/api/login", json={"login": login, "password": PASSWORD})

    assert_refused(log_in("nurse"))
    assert log_in("boss").status_code == 200
    _, link = invite(house, login="new-nurse")
    refused = house.web.client().post("/api/password", json={"secret": link, "password": PASSWORD})
    assert_refused(refused, 403, "forbidden")
    chief_id, _ = invite(house, Role.ADMINISTRATOR)
    chief, answer = enter(house)
    assert answer.status_code == 303
    assert_refused(log_in("boss"))
    version = chief.get(f"/api/account/{chief_id}").headers["etag"]
    away = {"state": "disabled", "reason": "left"}
    assert (
        chief.patch(f"/api/account/{chief_id}", json=away, headers={"if-match": version}).status_code == 200
    )
    assert log_in("boss").status_code == 200, "the last administrator is not locked out"


@pytest.mark.requirement("F-OIDC-passwords")
def test_a_server_whose_administrators_cannot_come_in_gives_one_a_new_way(house):
    boss = house.web.client()
    boss.post("/api/login", json={"login": "boss", "password": PASSWORD})
    invite(house, Role.ADMINISTRATOR)
    chief, _ = enter(house)
    boss_id = boss.get("/api/me").json()["account_id"]
    away = {"state": "disabled", "reason": "left"}
    version = boss.get(f"/api/account/{boss_id}").headers["etag"]
    assert chief.patch(f"/api/account/{boss_id}", json=away, headers={"if-match": version}).status_code == 200
    ways = house.web.app.state.services.ways
    assert reopen_for_administrator(house.web.context, ways=ways) == ""
    for gone in (
        WebServices().ways,
        dataclasses.replace(ways, issuer="https://another.example", passwords=False),
    ):
        link = reopen_for_administrator(house.web.context, ways=gone)
        assert link
    house.web.app.state.services = WebServices()
    client = house.web.client()
    assert client.post("/api/password", json={"secret": link, "password": PASSWORD}).status_code == 204
    assert client.post("/api/login", json={"login": LOGIN, "password": PASSWORD}).status_code == 200


@pytest.mark.requirement("F-OIDC-accounts")
def test_an_account_invited_again_is_parted_from_both_ways_and_linked_anew(house):
    account_id, _ = invite(house)
    client, _ = enter(house)
    boss = house.web.client()
    boss.post("/api/login", json={"login": "boss", "password": PASSWORD})
    version = {"if-match": boss.get(f"/api/account/{account_id}").headers["etag"]}
    path = f"/api/account/{account_id}/invitation"
    assert client.post(path, json={"reason": "x"}, headers=version).status_code == 403
    answer = boss.post(path, json={"reason": "new provider account"}, headers=version)
    assert answer.status_code == 201 and client.get("/api/me").status_code == 401
    assert read_state(house, account_id) == ("invited", None)
    house.idp.person = {"sub": "person-2"}
    client, entered = enter(house, link=answer.json()["secret"])
    assert entered.status_code == 303 and client.get("/api/me").json()["account_id"] == account_id
    own = boss.get("/api/me").json()["account_id"]
    version = {"if-match": boss.get(f"/api/account/{own}").headers["etag"]}
    last = boss.post(f"/api/account/{own}/invitation", json={"reason": "x"}, headers=version)
    assert (last.status_code, last.json()["code"]) == (409, "conflict")
    assert boss.get("/api/me").status_code == 200


@pytest.mark.requirement("G-oidc-login")
def test_a_browser_that_is_refused_gets_a_page_that_names_the_reason_and_no_session(house):
    client, url = begin(house)
    back = urlsplit(house.idp.log_in(url))
    browser = {"accept": "text/html,application/xhtml+xml"}
    answer = client.get(f"{back.path}?{back.query}", headers=browser, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/#/refused/authentication")
    assert COOKIE not in answer.cookies
    again = client.get("/api/oidc/callback?error=access_denied", headers=browser, follow_redirects=False)
    assert again.headers["location"] == "/#/refused/authentication"
    house.web.app.state.services = WebServices()
    none = client.get("/api/oidc/callback?code=x", headers=browser, follow_redirects=False)
    assert none.headers["location"] == "/#/refused/not_set"


@pytest.mark.requirement("F-OIDC-signature")
def test_a_signature_takes_a_fresh_login_of_the_signer_once(house):
    house.web.add_patient()
    invite(house)
    client, _ = enter(house)
    sign = {"meaning": "read"}, {"if-match": '"1-x"'}

    def sign_now():
        return client.post("/api/signatures/patient/p1", json=sign[0], headers=sign[1])

    assert_refused(sign_now())
    for wrong in ({"sub": "person-7"}, {"auth_time": int(time.time()) - 300}, {"auth_time": None}):
        house.idp.change = wrong
        _, url = begin(house, client, path="/api/oidc/proof")
        assert parse_qs(urlsplit(url).query)["prompt"] == ["login"]
        assert_refused(come_back(client, house.idp.log_in(url)))
        assert_refused(sign_now())
    house.idp.change = {}
    _, url = begin(house, client, path="/api/oidc/proof")
    back = come_back(client, house.idp.log_in(url))
    assert back.status_code == 303 and COOKIE not in back.cookies
    secret = client.cookies.get(PROOF_COOKIE)
    accepted = house.web.client().post("/api/password", json={"secret": secret, "password": PASSWORD})
    assert_refused(accepted)
    assert sign_now().status_code == 201
    with house.web.context.store.reading() as reader:
        from hepatica.workflows.record_ports import ItemFilter

        marks = reader.list_items(ItemFilter(kind="signature", patient_id="p1")).items
    assert [mark.values["proof"] for mark in marks] == ["oidc"]
    client.cookies.set(PROOF_COOKIE, secret, domain="127.0.0.1.local", path="/api/signatures")
    assert_refused(sign_now())


WRONG_SETTINGS = {
    "no issuer": {"issuer": None}, "secret in the file": {"client_secret": "x"}, "clear text": {"issuer": "http://login.example"},
    "alg none": {"algorithms": ["none"]}, "hmac": {"algorithms": ["HS256"]}, "no algorithm": {"algorithms": []},
    "skew": {"clock_skew_s": 3600}, "unknown option": {"isuer": "x"}, "no openid": {"scopes": ["email"]},
    "empty secret": {"client_secret_variable": "ABSENT"}, "secret twice": {"client_secret_file": "x"},
    "public with path": {"public_url": "https://house.example/x"}, "another host": {"public_url": "https://house.example"},
    "user in address": {"issuer": "https://a:b@login.example"}, "types": {"local_passwords": 1}, "port": {"issuer": "https://a:99999"},
}  # fmt: skip


@pytest.mark.requirement("F-OIDC-settings")
@pytest.mark.parametrize("wrong", WRONG_SETTINGS)
def test_settings_that_cannot_be_meant_stop_the_server_and_show_no_secret(tmp_path, wrong):
    write_settings(tmp_path, "https://login.house.example", **WRONG_SETTINGS[wrong])
    with pytest.raises(InputError) as refused:
        make_provider(tmp_path)
    assert refused.value.where == "oidc.toml" and SECRET not in str(refused.value)


@pytest.mark.requirement("F-OIDC-settings")
def test_a_secret_comes_from_a_file_or_a_variable_and_stands_in_no_printed_form(tmp_path):
    from hepatica.adapters.oidc.settings import read_settings

    (tmp_path / "secret").write_text(f"{SECRET}\n")
    write_settings(tmp_path, "https://x.example", client_secret_variable=None, client_secret_file="secret")
    settings = read_settings(tmp_path, environment={})
    assert settings.client_secret == SECRET and SECRET not in repr(settings)
    assert read_settings(tmp_path / "absent", environment={}) is None


@pytest.mark.requirement("F-OIDC-settings")
def test_without_what_speaks_to_a_provider_the_refusal_says_what_to_install(tmp_path, monkeypatch):
    write_settings(tmp_path, "https://login.house.example", public_url="https://127.0.0.1")
    monkeypatch.setattr(bootstrap_people, "find_spec", lambda name: None if name == "joserfc" else object())
    with pytest.raises(ProviderError) as refused:
        make_provider(tmp_path)
    assert refused.value.code == "provider" and "hepatica[oidc]" in refused.value.action
    assert "joserfc" in refused.value.given and "authlib" not in refused.value.given
    (tmp_path / "oidc.toml").unlink()
    assert make_provider(tmp_path) is None


@pytest.mark.requirement("F-OIDC-settings")
def test_a_server_without_a_provider_says_so(tmp_path):
    web = open_web_record(tmp_path)
    client = web.client()
    assert client.get("/api/oidc").json() == {"provider": "", "passwords": True}
    for answer in (client.post("/api/oidc/start", json={}), client.get("/api/oidc/callback?state=x&code=y")):
        assert_refused(answer, 422, "not_set")
    web.home.close()
