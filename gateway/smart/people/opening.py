"""Opening an app on a patient from here (EHR launch): which app, which patient, and off."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.smart.launches import Launch, begin_launch, launch_address
from gateway.smart.people.deciding import recorded
from gateway.smart.people.office import Halt, Office, Visit
from gateway.smart.people.patients import Found
from gateway.smart.registration import web_origin
from gateway.smart.values import Account, Client
from security.audit import read_event

__all__ = ["Opening", "openable"]


@dataclass(frozen=True, slots=True)
class _App:
    id: str
    name: str
    host: str


class Opening:
    """The page /auth/launch."""

    def __init__(self, office: Office) -> None:
        self._office = office

    def show(self, visit: Visit) -> Response:
        """List the apps that can be opened; who is signed out signs in first."""
        office = self._office
        account = visit.browser.account
        if account is None:
            return office.go("login")
        apps = [_App(each.id, each.name, urlsplit(each.launch_url).netloc) for each in openable(office, visit)]
        return office.page(visit, "launch.html", "Open an app", account=account, clients=apps)

    def open(self, visit: Visit) -> Response:
        """Ask for the patient, find them, or open the app on the one that was chosen."""
        office, form = self._office, visit.form
        account = office.demand_account(visit)
        does = form.one("do")
        office.demand_ours(visit, "launch" if does == "app" else "pick")
        client = next((each for each in openable(office, visit) if each.id == form.one("client")), None)
        if client is None:
            raise Halt(404, "This app cannot be opened", "It is not registered for that, or not for you.")
        if does != "choose":
            text, born = form.one("text")[:100], form.one("born")[:10]
            return self._pick(
                visit, account, client, office.patients.search(account, client, text, born, visit.now), 200
            )
        chosen = office.patients.get(account, client, form.one("patient"), visit.now)
        if chosen is None:
            return self._pick(visit, account, client, office.patients.search(account, client, "", "", visit.now), 404)
        launch = Launch(
            client=client.id,
            user=account.name,
            session=visit.browser.id,
            context={"patient": chosen.twin, "need_patient_banner": True},
        )
        access = office.access(visit, account, patient=chosen.twin, what=(f"Patient/{chosen.twin}",), basis=client.id)
        name = begin_launch(office.home.store, launch, visit.now, [read_event(access)])
        return office.leave(launch_address(client, name, office.base))

    def _pick(self, visit: Visit, account: Account, client: Client, found: Found, status: int) -> Response:
        recorded(self._office, visit, account, client, found)
        return self._office.page(
            visit,
            "pick.html",
            "Choose a patient",
            status,
            told="" if status == 200 else "This patient is not there, or you may not see them.",
            account=account,
            client=client,
            chosen_client=client.id,
            action="launch",
            found=found,
            text=visit.form.one("text")[:100],
            born=visit.form.one("born")[:10],
            leads_to=("https:", web_origin(client.launch_url)),
        )


def openable(office: Office, visit: Visit) -> list[Client]:
    """List the apps that whoever is signed in may open from here."""
    account = visit.browser.account
    return [
        each
        for each in office.clients.all(visit.now)
        if account and each.launch_url and not each.disabled and each.tenant == account.tenant
    ]
