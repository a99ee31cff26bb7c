"""Choosing the patient, and allowing an app what the person wants it to have, or nothing."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.smart.approval import approve, deny
from gateway.smart.people.lines import asked_lines, chosen_scopes, needs_patient
from gateway.smart.people.office import Halt, Office, Visit
from gateway.smart.people.patients import Found, Shown
from gateway.smart.people.steps import next_step, patient_of
from gateway.smart.registration import web_origin
from gateway.smart.values import Account, Client, Pending
from security.audit import answer_events, issue_event, read_event
from security.errors import Misuse

__all__ = ["Deciding", "recorded"]

_NOBODY: Final = "This patient is not there, or you may not see them."
_NOTHING: Final = "Nothing is ticked that the app could use. Tick something, or deny."


class Deciding:
    """The pages /auth/pick, /auth/consent and /auth/deny."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def show_pick(self, visit: Visit) -> Response:
        """Ask for which patient."""
        office = self._office
        pending, client, account = office.demand_bound(visit)
        _demand_open(pending)
        found = office.patients.search(account, client, "", "", visit.now)
        return self._pick(visit, pending, client, account, found)

    def pick(self, visit: Visit) -> Response:
        """Find patients, or take the one that was chosen."""
        office = self._office
        office.demand_ours(visit, "pick")
        pending, client, account = office.demand_bound(visit)
        _demand_open(pending)
        if visit.form.one("do") != "choose":
            text, born = visit.form.one("text")[:100], visit.form.one("born")[:10]
            found = office.patients.search(account, client, text, born, visit.now)
            return self._pick(visit, pending, client, account, found)
        chosen = office.patients.get(account, client, visit.form.one("patient"), visit.now)
        if chosen is None:
            found = office.patients.search(account, client, "", "", visit.now)
            return self._pick(visit, pending, client, account, found, told=_NOBODY, status=404)
        launch = {**pending.launch, "patient": chosen.twin, "picked": True}
        return next_step(office, office.keep(pending, visit.now, launch=launch))

    def show_consent(self, visit: Visit) -> Response:
        """Show what is asked for, by whom, and about whom."""
        pending, client, account = self._office.demand_bound(visit)
        return self._consent(visit, pending, client, account)

    def decide(self, visit: Visit) -> Response:
        """Do what the person said. What the form says beyond what was asked for counts for nothing."""
        office = self._office
        office.demand_ours(visit, "consent")
        pending, client, account = office.demand_bound(visit)
        if visit.form.one("do") != "allow":
            return self._denied(pending, client, visit)
        self._patient(visit, pending, client, account)
        scopes = chosen_scopes(pending, account, visit.form.all("scope"), lambda place: visit.form.all(f"part.{place}"))
        if not scopes:
            return self._consent(visit, pending, client, account, told=_NOTHING, status=422)
        encounter = str(pending.launch.get("encounter") or "")
        try:
            url = approve(office.home, pending, account, scopes, patient_of(pending), encounter, visit.now)
        except Misuse as fault:
            raise Halt(400, "This cannot be allowed", fault.message, fault.hint) from fault
        return office.leave(url)

    def deny(self, visit: Visit) -> Response:
        """Give the app nothing, at any step, also before anybody has signed in."""
        office = self._office
        office.demand_ours(visit, "deny")
        found = office.pending(visit)
        if found is None:
            raise Halt(400, "This request has ended", "Start again in the app.")
        return self._denied(*found, visit)

    def _denied(self, pending: Pending, client: Client, visit: Visit) -> Response:
        office = self._office
        access = office.access(visit, visit.browser.account, outcome="8", reason="access-denied")
        event = issue_event(access, client_id=client.id, form={"scope": " ".join(pending.scopes)})
        if not office.home.store.strike("pending", pending.id, visit.now, [event]):
            raise Halt(400, "This request has ended", "It was answered already.")
        return office.leave(deny(pending))

    def _pick(
        self,
        visit: Visit,
        pending: Pending,
        client: Client,
        account: Account,
        found: Found,
        told: str = "",
        status: int = 200,
    ) -> Response:
        recorded(self._office, visit, account, client, found)
        return self._office.page(
            visit,
            "pick.html",
            "Choose a patient",
            status,
            told=told,
            account=account,
            client=client,
            chosen_client="",
            request_id=pending.id,
            action="pick",
            found=found,
            text=visit.form.one("text")[:100],
            born=visit.form.one("born")[:10],
            leads_to=_leads_to(pending),
        )

    def _consent(
        self, visit: Visit, pending: Pending, client: Client, account: Account, told: str = "", status: int = 200
    ) -> Response:
        parts = urlsplit(pending.redirect_uri)
        return self._office.page(
            visit,
            "consent.html",
            f"Allow {client.name}?",
            status,
            told=told,
            account=account,
            client=client,
            request_id=pending.id,
            asked=asked_lines(pending, account),
            unasked="fhirUser" in pending.scopes and not account.fhir_user,
            patient=self._patient(visit, pending, client, account),
            may_repick=bool(pending.launch.get("picked")),
            host=parts.netloc if parts.scheme in ("http", "https") else f"{parts.scheme}:",
            is_local=parts.scheme == "http",
            tenant=account.tenant,
            leads_to=_leads_to(pending),
        )

    def _patient(self, visit: Visit, pending: Pending, client: Client, account: Account) -> Shown | None:
        """Return the patient that a request is about, whom the person may see; that is recorded."""
        office, twin = self._office, patient_of(pending)
        if not twin:
            if needs_patient(pending):
                raise Halt(400, "No patient was chosen", "Start again in the app.")
            return None
        shown = office.patients.get(account, client, twin, visit.now)
        if shown is None:
            raise Halt(404, "This patient cannot be shown", _NOBODY)
        access = office.access(visit, account, patient=twin, what=(f"Patient/{twin}",))
        office.home.store.append_audit([read_event(access)])
        return shown


def recorded(office: Office, visit: Visit, account: Account, client: Client | None, found: Found) -> None:
    """Record whom a search showed, before it does; what was typed is a name, and is not kept."""
    if not found.asked and not found.patients:
        return
    access = office.access(visit, account, query=b"POST /auth/pick", basis=client.id if client else "")
    told = {each.twin: (f"Patient/{each.twin}",) for each in found.patients}
    office.home.store.append_audit(answer_events(access, told))


def _demand_open(pending: Pending) -> None:
    """The patient of an EHR launch is the one that the app was opened on, and is not chosen anew."""
    if patient_of(pending) and not pending.launch.get("picked"):
        raise Halt(400, "The patient is given", "This app was opened on a patient already.")
    if not needs_patient(pending):
        raise Halt(400, "No patient is asked for", "This app asks about no one patient.")


def _leads_to(pending: Pending) -> tuple[str, ...]:
    return ("https:", web_origin(pending.redirect_uri))
