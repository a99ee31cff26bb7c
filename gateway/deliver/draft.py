"""What a proposal is made of, sealed beside it: from this it is written again, in another shape or another version."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import __version__
from mappers import FhirVersion
from mappers.outbound import Attention, Form, Result, render

__all__ = ["SENDER", "Draft", "Revised", "read_draft", "write_draft"]

SENDER = f"fhirtwin {__version__}"


class Revised(msgspec.Struct, frozen=True):
    """An older result of ours at the same EHR, in whose place this one comes: the delivery, and where it stands."""

    delivery: str
    references: tuple[str, ...]


class Draft(msgspec.Struct, frozen=True, omit_defaults=True):
    """One result for one EHR. All of it is patient data.

    Parameters
    ----------
    patient
        Reference to the patient in the EHR ("Patient/7").
    profiles, organization
        As in `mappers.outbound.render`.
    attention, form
        A warning that goes with it.
    summary
        A sentence or two for the person who is asked to agree.
    revises
        What it takes the place of.
    """

    result: Result
    version: FhirVersion
    patient: str
    profiles: tuple[str, ...] = ()
    organization: str = ""
    attention: Attention | None = None
    form: Form | None = None
    with_risks: bool = True
    summary: str = ""
    revises: tuple[Revised, ...] = ()

    def rendered(self, takes: frozenset[str] | None = None) -> dict[str, Any]:
        """Write it as a transaction; `takes` are the types that the EHR takes, `None` where nobody knows."""
        return render(
            self.result,
            self.version,
            patient=self.patient,
            sender=SENDER,
            attention=self.attention,
            form=self.form,
            with_risks=self.with_risks,
            profiles=self.profiles,
            organization=self.organization,
            takes=takes,
            revises=tuple(reference for each in self.revises for reference in each.references),
        )


_reader = msgspec.json.Decoder(Draft)


def read_draft(content: bytes) -> Draft:
    """Read what `write_draft` wrote."""
    return _reader.decode(content)


def write_draft(draft: Draft) -> bytes:
    """Write a draft for the store."""
    return msgspec.json.encode(draft)
