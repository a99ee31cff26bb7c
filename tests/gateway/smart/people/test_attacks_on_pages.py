"""What others try on the pages where people sign in and decide: each is tried, and gets nowhere."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from gateway.smart.attempts import Attempts
from gateway.smart.launches import Launch, begin_launch
from tests.gateway.smart.people.door import PASSWORD, Surfer, hidden, said

TWIN = "twin-1"


def prepared(server):
    server.user()
    server.client()
    server.memory.add(TWIN, name=[{"family": "Silva", "given": ["Joao"]}], birthDate="1961-02-03")


def consented(surfer, name="ana"):
    return surfer.fill(surfer.enter(surfer.ask(), name), "pick", do="choose", patient=TWIN)


def cookie(surfer):
    return surfer.cookies.get("fhirtwin-login")


def test_a_form_without_the_token_of_its_page_does_nothing(server, surfer):
    """CSRF: the cookie alone, which a browser sends along, is not enough."""
    prepared(server)
    consent = consented(surfer)
    with Surfer(server) as other:
        others = hidden(consented(other), "consent")["token"][0]
    fields = {"request": hidden(consent, "consent")["request"][0], "do": "allow", "scope": "openid"}
    for action in ("login", "pick", "consent", "deny", "logout", "launch", "end", "passkey-add", "passkey-remove"):
        for token in (None, "", "0" * 32, "ü", others):
            answer = surfer.post(f"/auth/{action}", data=fields | ({} if token is None else {"token": token}))
            assert answer.status_code == 403, (action, token)
            assert "location" not in answer.headers


def test_the_token_of_one_form_is_none_for_another(server, surfer):
    prepared(server)
    consent = consented(surfer)
    token = hidden(consent, "logout")["token"]
    assert surfer.fill(consent, "consent", do="allow", token=token).status_code == 403


def test_a_form_that_another_site_sends_is_refused_whatever_is_in_it(server, surfer):
    prepared(server)
    consent = consented(surfer)
    fields = {**hidden(consent, "consent"), "do": "allow"}
    for site in ("cross-site", "same-site"):
        answer = surfer.post("/auth/consent", data=fields, headers={"Sec-Fetch-Site": site})
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["login", "manage", "launch", "pick?request=x", "consent?request=x", "logout", "nothing"]
)
def test_no_page_is_framed_kept_or_referred_to(server, surfer, path):
    """Clickjacking, caches of shared machines, addresses in other servers' logs."""
    prepared(server)
    surfer.enter(surfer.get("/auth/login"))
    answer = surfer.get(f"/auth/{path}")
    if answer.status_code in (404, 405):  # no page of ours
        return
    policy = answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "unsafe" not in policy


def test_a_session_that_was_planted_before_login_is_not_the_one_after_it(server, surfer):
    """Session fixation."""
    prepared(server)
    surfer.get("/auth/login")
    planted = cookie(surfer)
    surfer.enter(surfer.get("/auth/login"))
    assert cookie(surfer) != planted
    with Surfer(server) as other:
        other.cookies.set("fhirtwin-login", planted)
        assert other.get("/auth/manage").status_code == 303


def test_a_session_is_worth_nothing_after_logout(server, surfer):
    prepared(server)
    surfer.enter(surfer.get("/auth/login"))
    kept = cookie(surfer)
    surfer.fill(surfer.get("/auth/manage"), "logout")
    with Surfer(server) as other:
        other.cookies.set("fhirtwin-login", kept)
        assert other.get("/auth/manage").headers["location"] == "login"


def test_the_cookie_is_only_for_us_and_not_for_scripts(server, surfer):
    prepared(server)
    told = surfer.get("/auth/login").headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert "domain" not in told
    from starlette.responses import Response

    from gateway.smart.sessions import Sessions

    behind_tls = Sessions(server.home, "https://ehr.example.org/fhir")
    account = server.user("tls")
    response = Response()
    behind_tls.give(response, behind_tls.begin(account, "password", datetime.now(UTC)))
    told = response.headers["set-cookie"]
    assert told.startswith("__Host-")
    assert "Secure" in told
    assert "Path=/" in told


@pytest.mark.parametrize(
    "request_id",
    ["https://evil.example", "//evil.example", "../../evil", "javascript:alert(1)", "x" * 5000, "%00", "a&b=c"],
)
def test_login_leads_nowhere_but_to_our_pages(server, surfer, request_id):
    """Open redirect: `request` names an entry of ours, and is nothing else."""
    prepared(server)
    answer = surfer.get("/auth/login", params={"request": request_id})
    assert answer.status_code == 400
    assert "evil" not in answer.headers.get("location", "")
    login = surfer.get("/auth/login")
    answer = surfer.press(login, "login", name="ana", password=PASSWORD, request=request_id)
    assert answer.status_code == 400
    answer = surfer.press(login, "login", name="ana", password=PASSWORD, next="https://evil.example")
    assert answer.headers["location"] == "manage"


def test_names_are_shown_and_not_obeyed(server, surfer):
    """XSS by the name of an app, of a person or of a patient."""
    evil = "<script>alert(1)</script><img src=x onerror='x'>\"'"
    server.user(display=evil)
    server.client(name=evil)
    server.memory.add(TWIN, name=[{"text": evil}], identifier=[{"value": evil}])
    login = surfer.ask()
    picker = surfer.enter(login, "ana")
    consent = surfer.fill(picker, "pick", do="choose", patient=TWIN)
    for page in (login, picker, consent, surfer.get("/auth/manage"), surfer.get("/auth/launch")):
        assert "<script>alert" not in page.text
        assert "<img" not in page.text
    assert "&lt;script&gt;" in consent.text
    typed = surfer.fill(picker, "pick", do="search", text=evil)
    assert "<script>alert" not in typed.text


def test_whoever_guesses_waits_longer_each_time_also_for_names_that_nobody_has(server, surfer):
    prepared(server)
    told = {}
    for name in ("ana", "nobody"):
        login = surfer.get("/auth/login")
        answers = [surfer.enter(login, name, f"guess {n} of many more") for n in range(6)]
        told[name] = [
            (a.status_code, re.sub(r"\d+ seconds|[0-9a-f]{32}|nobody|ana|data-options=.*", "", a.text)) for a in answers
        ]
        assert [a.status_code for a in answers] == [401] * 5 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 5
    assert told["ana"] == told["nobody"]
    login = surfer.get("/auth/login")
    assert surfer.enter(login, "ana").status_code == 429  # the right password, too soon
    outcomes = [event["outcome"] for event in server.events("login")]
    assert outcomes.count("8") == 10


def test_of_many_guesses_at_once_only_the_free_ones_are_tried(server):
    at, tried = datetime.now(UTC), Attempts(server.home.store, "password")
    with ThreadPoolExecutor(16) as many:
        waits = list(many.map(lambda _: tried.begin("ana", "192.0.2.1", at), range(40)))
    assert waits.count(0) == 5


def test_a_name_is_guessed_at_from_many_places_no_more_than_the_standard_allows(server):
    """NIST SP 800-63B-4, 3.2.2: at most 100 failed attempts in a row; here within a working day, with a pause in it."""
    at, tried = datetime.now(UTC), Attempts(server.home.store, "password")
    free = 0
    for n in range(3 * 60 * 8):
        if not 400 < n < 620:
            free += tried.begin("ana", f"192.0.2.{n}", at + timedelta(seconds=20 * n)) == 0
    assert free <= 100


def test_whoever_is_rightful_is_let_in_from_elsewhere_while_somebody_guesses(server, surfer):
    prepared(server)
    at, tried = datetime.now(UTC), Attempts(server.home.store, "password")
    for _ in range(30):
        tried.begin("ana", "192.0.2.1", at)
    assert surfer.enter(surfer.get("/auth/login")).status_code == 200


def test_unknown_wrong_and_disabled_are_told_alike(server, surfer):
    server.user("off", disabled=True)
    server.user("none", password="")
    prepared(server)
    told = set()
    for name, password in (("off", PASSWORD), ("none", ""), ("none", "x"), ("ana", "x"), ("who", "x")):
        answer = surfer.enter(surfer.get("/auth/login"), name, password or "y")
        told.add((answer.status_code, re.sub(rf'[0-9a-f]{{32}}|value="{name}"|data-options=.*', "", answer.text)))
    assert len(told) == 1


def test_the_request_of_another_browser_is_not_gone_on_with(server, surfer):
    prepared(server)
    server.user("eve")
    consent = consented(surfer)
    request = hidden(consent, "consent")["request"][0]
    with Surfer(server) as other:
        other.enter(other.get("/auth/login"), "eve")
        for path in ("login", "pick", "consent"):
            assert other.get(f"/auth/{path}?request={request}").status_code == 403
        picker = other.ask()
        assert other.fill(picker, "deny", request=request).status_code == 403
        mine = other.fill(picker, "pick", do="choose", patient=TWIN)
        assert other.fill(mine, "consent", do="allow", request=request).status_code == 403
    assert (
        surfer.fill(consent, "consent", do="allow").headers["location"].startswith("http://127.0.0.1:9/callback?code=")
    )


def test_a_request_that_nobody_has_signed_in_for_is_not_consented_to(server, surfer):
    prepared(server)
    login = surfer.ask()
    request = hidden(login, "login")["request"][0]
    with Surfer(server) as other:
        other.enter(other.get("/auth/login"))
        assert other.get(f"/auth/consent?request={request}").status_code == 400


def test_nobody_picks_a_patient_of_another_tenant_or_none_at_all(server, surfer):
    prepared(server)
    server.memory.add("other", "elsewhere", name=[{"family": "Silva", "given": ["Rui"]}])
    picker = surfer.enter(surfer.ask())
    assert "Rui" not in picker.text
    told = set()
    for twin in ("other", "nobody", "", "../x", "a" * 3000):
        answer = surfer.fill(picker, "pick", do="choose", patient=twin)
        told.add((answer.status_code, re.sub(r"[0-9a-f]{32}", "", answer.text)))
    assert len(told) == 1
    assert {status for status, _ in told} == {404}


def test_an_app_of_another_tenant_gets_nothing_of_mine(server, surfer):
    prepared(server)
    server.client("abroad", tenant="elsewhere")
    assert surfer.enter(surfer.ask("abroad")).status_code == 403


@pytest.mark.parametrize("role", ["engineer", "admin", "planner"])
def test_who_may_see_no_patients_by_their_role_picks_none(server, surfer, role):
    prepared(server)
    server.user("eng", roles=(role,))
    picker = surfer.enter(surfer.ask(), "eng")
    assert "Silva" not in picker.text
    assert surfer.fill(picker, "pick", do="search", text="Silva").status_code == 200
    assert hidden(picker, "pick")
    forged = {**hidden(picker, "pick"), "do": "choose", "patient": TWIN}
    assert surfer.post("/auth/pick", data=forged).status_code == 404


def test_a_forged_consent_form_widens_nothing(server, surfer):
    prepared(server)
    consent = consented(surfer)
    ended = surfer.fill(
        consent,
        "consent",
        do="allow",
        scope=[
            "patient/Patient.rs",
            "patient/*.cruds",
            "user/*.cruds",
            "system/*.rs",
            "launch/encounter",
            "patient/Observation.crs",
        ],
        **{
            "part.4": ["patient/*.rs", "user/Observation.rs"],
            "part.99": "patient/*.cruds",
            "part.-1": "x",
            "patient": "twin-2",
        },
    )
    told = said(ended.headers["location"])
    token = surfer.post(
        "/auth/token",
        data={
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": "http://127.0.0.1:9/callback",
            "client_id": "growth",
            "code_verifier": surfer.verifier,
        },
    ).json()
    assert set(token["scope"].split()) == {"launch/patient", "patient/Patient.rs"}
    assert token["patient"] == TWIN


def test_a_launch_is_for_the_browser_and_the_person_who_began_it(server, surfer):
    """A8: whoever gets the address of a launch of somebody else gets nothing by it."""
    prepared(server)
    server.user("eve")
    surfer.enter(surfer.get("/auth/login"))
    at = datetime.now(UTC)
    context = {"patient": TWIN}
    mine = Launch(client="growth", user="ana", session="f" * 64, context=context)
    terminal = Launch(client="growth", user="eve", context=context)
    for launch in (mine, terminal):
        name = begin_launch(server.home.store, launch, at)
        assert surfer.ask(scope="launch patient/Patient.rs", launch=name).status_code == 403
    name = begin_launch(server.home.store, Launch(client="growth", user="ana", context=context), at)
    assert "Allow Growth chart?" in surfer.ask(scope="launch patient/Patient.rs", launch=name).text


def test_an_oversize_or_broken_form_costs_only_itself(server, surfer):
    prepared(server)
    login = surfer.get("/auth/login")
    token = hidden(login, "login")["token"][0]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (
        surfer.post(
            "/auth/login", content=b"token=" + token.encode() + b"&name=" + b"a" * 70_000, headers=form
        ).status_code
        == 400
    )
    assert surfer.post("/auth/login", content=b"a=b&" * 3000, headers=form).status_code == 400
    assert surfer.post("/auth/login", content=b"\xff\xfe=1", headers=form).status_code == 400
    assert surfer.post("/auth/login", content=b"{}", headers={"Content-Type": "application/json"}).status_code == 400
    assert surfer.post("/auth/login", content=b"token=a&token=b", headers=form).status_code == 403
    long = surfer.fill(login, "login", name="ana", password="x" * 5000)
    assert long.status_code == 401
    assert surfer.enter(surfer.get("/auth/login")).status_code == 200


def test_what_was_typed_stands_in_no_event(server, surfer):
    """A password typed where the name belongs, and the name of a patient."""
    prepared(server)
    surfer.fill(surfer.get("/auth/login"), "login", name="Secret-Canary-1", password="Secret-Canary-2")
    picker = surfer.enter(surfer.ask())
    surfer.fill(picker, "pick", do="search", text="Canaryname", born="1961-02-03")
    page = server.home.store.search_audit(limit=1000)
    told = repr([each.event for each in page.entries]).lower()
    assert "canary" not in told
    assert "1961" not in told


def test_a_challenge_for_a_passkey_is_good_once_for_five_minutes_for_the_browser_that_got_it(server):
    from gateway.smart.people import Office
    from gateway.smart.sessions import Browser

    office, at = Office(server.home, server.base, None), datetime.now(UTC)
    mine, other = Browser("a" * 43, "1", is_new=False), Browser("b" * 43, "2", is_new=False)
    challenge = office.challenge(mine, at)
    assert not office.use_challenge(other, challenge, at)
    assert not office.use_challenge(mine, challenge, at + timedelta(minutes=6))
    assert not office.use_challenge(mine, challenge, at - timedelta(minutes=6))
    assert not office.use_challenge(mine, b"99999999999." + challenge.partition(b".")[2], at)
    for made_up in (b"", b".", b"x.y", b"1.", challenge[:-1], challenge + b"0"):
        assert not office.use_challenge(mine, made_up, at)
    assert office.use_challenge(mine, challenge, at + timedelta(minutes=4))
    assert not office.use_challenge(mine, challenge, at + timedelta(minutes=4))


@pytest.mark.parametrize(
    "credential",
    ["", "{}", "[]", "null", '{"id":"a","rawId":"a","response":{},"type":"public-key"}', "[" * 20_000, "x" * 40_000],
)
def test_a_passkey_that_is_none_signs_nobody_in(server, surfer, credential):
    prepared(server)
    token = hidden(surfer.get("/auth/login"), "login")["token"][0]
    answer = surfer.post("/auth/passkey-login", data={"token": token, "credential": credential})
    assert answer.status_code == 401
    assert "not accepted" in answer.text
