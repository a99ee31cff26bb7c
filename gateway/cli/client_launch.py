"""twin client launch."""

from __future__ import annotations

from gateway.cli.terminal import Options, note, print_json, say
from gateway.home import Home, now
from gateway.settings import load_settings
from gateway.smart.accounts import Accounts
from gateway.smart.launches import KEPT, Launch, begin_launch, launch_address
from gateway.smart.registration import Clients
from security.audit import read_event
from security.errors import Misuse

__all__ = ["launch_"]


def launch_(
    client: str,
    twin: str,
    /,
    *,
    user: str,
    base: str = "",
    encounter: str = "",
    intent: str = "",
    options: Options = Options(),
) -> None:
    """Print an address that opens an app on a patient, as an EHR does: for who builds apps, or for an EHR's menu.

    It is good once, for five minutes, and for one user, who signs in when the app asks for access.

    Parameters
    ----------
    client
        Its client id; it has a launch URL.
    twin
        The twin's id, or the beginning of it.
    user
        Who opens it: the name that they log in with.
    base
        The FHIR base of twin serve; without it what [serve] base_url says, else http://127.0.0.1:8424/fhir.
    encounter
        The id of an Encounter in context.
    intent
        What the app is opened for, in a word that it knows.
    """
    settings = load_settings(options.home)
    with Home.open(settings, create=False) as home:
        at = now()
        app, account = Clients(home).must_get(client, at), Accounts(home).must_get(user, at)
        if not app.launch_url or app.disabled:
            raise Misuse("This client cannot be opened from here.", hint="Register it with --launch-url.")
        if app.tenant != account.tenant:
            raise Misuse("This client is of another tenant than this user.")
        found = home.store.find_twin(twin)
        context = {"patient": found, "encounter": encounter, "intent": intent, "need_patient_banner": True}
        launch = Launch(
            client=app.id, user=account.name, context={name: value for name, value in context.items() if value}
        )
        event = read_event(home.access(patient=found, what=(f"Patient/{found}",)))
        name = begin_launch(home.store, launch, at, [event])
    known = base or f"{settings.serve.base_url.rstrip('/') or 'http://127.0.0.1:8424'}/fhir"
    url = launch_address(app, name, known)
    if options.json:
        print_json({"url": url, "iss": known, "launch": name, "seconds": int(KEPT.total_seconds())})
    else:
        say(url)
        note(f"It is good once, for {int(KEPT.total_seconds() // 60)} minutes.")
