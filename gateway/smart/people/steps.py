"""What comes next for an authorization request whose person is known: the patient, where needed, then consent."""

from __future__ import annotations

from starlette.responses import Response

from gateway.smart.people.lines import needs_patient
from gateway.smart.people.office import Office
from gateway.smart.values import Pending

__all__ = ["next_step", "patient_of"]


def next_step(office: Office, pending: Pending) -> Response:
    """Send the browser to the next page."""
    place = "pick" if needs_patient(pending) and not patient_of(pending) else "consent"
    return office.go(place, request=pending.id)


def patient_of(pending: Pending) -> str:
    """Return the twin that a request is about: that of the launch, or the one that was picked; "" for none yet."""
    return str(pending.launch.get("patient") or "")
