"""A person signs in, chooses a patient, allows an app a part of what it asks, and ends it again: without JavaScript."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.gateway.smart.people.door import PASSWORD, said


def prepared(server):
    server.user()
    server.client()
    server.memory.add("twin-1", name=[{"family": "Silva", "given": ["João"]}], birthDate="1961-02-03", gender="male")
    return "twin-1"


def exchange(surfer, url):
    told = said(url)
    return surfer.post(
        "/auth/token",
        data={
            "grant_type": "authorization_code",
            "code": told["code"],
            "redirect_uri": "http://127.0.0.1:9/callback",
            "client_id": "growth",
            "code_verifier": surfer.verifier,
        },
    )


def consented(surfer, twin="twin-1"):
    picker = surfer.enter(surfer.ask())
    return surfer.fill(picker, "pick", do="choose", patient=twin)


def test_a_standalone_launch_goes_by_login_and_picker_and_consent_to_a_token(server, surfer):
    twin = prepared(server)
    login = surfer.ask()
    assert "to go on to <b>Growth chart</b>" in login.text
    picker = surfer.enter(login)
    assert "João Silva" in picker.text
    consent = surfer.fill(picker, "pick", do="choose", patient=twin)
    assert "born 1961-02-03" in consent.text
    ended = surfer.fill(consent, "consent", do="allow")
    url = ended.headers["location"]
    assert url.startswith("http://127.0.0.1:9/callback?code=")
    assert (said(url)["state"], said(url)["iss"]) == ("of the app", server.base)
    token = exchange(surfer, url)
    assert token.status_code == 200, token.text
    assert token.json()["patient"] == twin
    assert set(token.json()["scope"].split()) == {
        *("launch/patient", "openid", "fhirUser", "offline_access", "patient/Observation.rs", "patient/Patient.rs")
    }
    assert [e["purposeOfEvent"] for e in server.events("login")]


def test_a_person_leaves_scopes_out_and_takes_a_part_of_one(server, surfer):
    prepared(server)
    consent = consented(surfer)
    laboratory = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    assert laboratory in consent.text
    places = {"part.4": laboratory}
    ended = surfer.fill(consent, "consent", do="allow", scope=["openid", "patient/Observation.rs"], **places)
    token = exchange(surfer, ended.headers["location"]).json()
    assert set(token["scope"].split()) == {"launch/patient", "openid", laboratory}
    assert "refresh_token" not in token


def test_nothing_ticked_is_nothing_allowed(server, surfer):
    prepared(server)
    again = surfer.fill(consented(surfer), "consent", do="allow", scope=["offline_access"])
    assert again.status_code == 422
    assert "Nothing is ticked" in again.text


def test_who_denies_sends_the_app_away_with_an_error(server, surfer):
    prepared(server)
    consent = consented(surfer)
    ended = surfer.fill(consent, "consent", do="deny")
    assert said(ended.headers["location"]) == {"error": "access_denied", "state": "of the app", "iss": server.base}
    assert surfer.fill(consent, "consent", do="allow").status_code == 400
    [told] = server.events("issue")
    assert told["outcome"] == "8"
    assert "user:ana" in repr(told["agent"])


def test_who_cancels_at_login_sends_the_app_away(server, surfer):
    prepared(server)
    ended = surfer.fill(surfer.ask(), "deny")
    assert said(ended.headers["location"])["error"] == "access_denied"


def test_who_is_signed_in_already_is_not_asked_again(server, surfer):
    prepared(server)
    surfer.enter(surfer.ask())
    assert "Choose a patient" in surfer.ask().text


def test_another_account_can_be_used_for_a_request(server, surfer):
    prepared(server)
    server.user("ben", fhir_user="")
    consent = consented(surfer)
    login = surfer.fill(consent, "logout")
    assert "Sign in" in login.text
    picker = surfer.enter(login, "ben")
    consent = surfer.fill(picker, "pick", do="choose", patient="twin-1")
    assert "Dr Ben" in consent.text
    assert "there is no resource for your account" in consent.text
    token = exchange(surfer, surfer.fill(consent, "consent", do="allow").headers["location"]).json()
    assert "fhirUser" not in token["scope"]
    assert len(server.events("logout")) == 1


def test_an_app_is_opened_on_a_patient_from_here(server, surfer):
    twin = prepared(server)
    apps = surfer.enter(surfer.get("/auth/login"))
    assert "Your apps" in apps.text
    chosen = surfer.fill(surfer.get("/auth/launch"), "launch", do="app", client="growth")
    opened = surfer.fill(chosen, "launch", do="choose", patient=twin)
    url = opened.headers["location"]
    assert url.startswith("http://127.0.0.1:9/launch?iss=")
    assert said(url)["iss"] == server.base
    assert twin not in url
    launch = said(url)["launch"]
    scope = "launch openid patient/Observation.rs"
    consent = surfer.ask(scope=scope, launch=launch)
    assert "Allow Growth chart?" in consent.text
    assert "Another patient" not in consent.text
    token = exchange(surfer, surfer.fill(consent, "consent", do="allow").headers["location"]).json()
    assert (token["patient"], token["need_patient_banner"]) == (twin, True)
    assert "error=" in surfer.ask(scope=scope, launch=launch).headers["location"]


def test_what_was_allowed_is_listed_and_ended_by_the_person(server, surfer):
    prepared(server)
    token = exchange(surfer, surfer.fill(consented(surfer), "consent", do="allow").headers["location"]).json()
    apps = surfer.get("/auth/manage")
    assert "Growth chart" in apps.text
    ended = surfer.fill(apps, "end")
    assert "It has ended." in ended.text
    assert "No app has access" in ended.text
    again = surfer.post(
        "/auth/token",
        data={"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": "growth"},
    )
    assert again.json()["error"] == "invalid_grant"


def test_a_session_ends_after_half_an_hour_without_a_request(server, surfer, monkeypatch):
    from gateway.smart.people import routes

    prepared(server)
    surfer.enter(surfer.get("/auth/login"))
    assert surfer.get("/auth/manage").status_code == 200
    begun = datetime.now(UTC)
    for minutes, status in ((29, 200), (58, 200), (89, 303)):
        from datetime import timedelta

        monkeypatch.setattr(routes, "now", lambda at=begun + timedelta(minutes=minutes): at)
        assert surfer.get("/auth/manage").status_code == status


def test_a_disabled_account_is_signed_out_at_once(server, surfer):
    import msgspec

    from gateway.smart.accounts import Accounts

    prepared(server)
    surfer.enter(surfer.get("/auth/login"))
    Accounts(server.home).change(
        "ana", lambda found: msgspec.structs.replace(found, disabled=True), datetime.now(UTC), ends=True
    )
    assert surfer.get("/auth/manage").headers["location"] == "login"
    refused = surfer.enter(surfer.get("/auth/login"), "ana", PASSWORD)
    assert refused.status_code == 401


def test_no_page_has_the_address_of_an_endpoint_of_the_authorization_server(server):
    """The first of two routes to one address would hide the other."""
    from gateway.smart.app import routes
    from gateway.smart.people import people_routes

    found = [
        route.path for route in (*routes(server.home, server.base), *people_routes(server.home, server.base, None))
    ]
    assert len(found) - len(set(found)) == sum(
        path in ("/auth/token", "/auth/introspect", "/auth/revoke") for path in set(found)
    )


def test_an_app_that_asks_about_no_one_patient_is_asked_for_none(server, surfer):
    prepared(server)
    server.client("board", name="Ward board", scopes=("user/Patient.rs", "user/Observation.read"))
    consent = surfer.enter(surfer.ask("board", scope="user/Patient.rs user/Observation.read"))
    assert "Allow Ward board?" in consent.text
    assert "of all patients you may see" in consent.text
    assert 'class="patient"' not in consent.text
    ended = surfer.fill(consent, "consent", do="allow", scope=["user/Observation.read"])
    assert said(ended.headers["location"])["code"]


def test_an_account_that_is_a_patient_picks_themselves_and_nobody_else(server, surfer):
    twin = "7d0c5d3e-0000-4000-8000-000000000001"
    server.client()
    server.user("joao", roles=(), fhir_user=f"Patient/{twin}")
    server.memory.add(twin, name=[{"text": "João Silva"}])
    server.memory.add("7d0c5d3e-0000-4000-8000-000000000002", name=[{"text": "Rui Silva"}])
    picker = surfer.enter(surfer.ask(), "joao")
    assert "João Silva" in picker.text
    assert "Rui Silva" not in picker.text
