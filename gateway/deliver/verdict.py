"""What each way in which a delivery can fail means, and what is done about it: two tables, for us and for people.

`REASONS` has every code that a delivery's `reason` can be. `verdict_on` says what a status of a server's answer means;
what is done then is `gateway.deliver.attempt`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from gateway.deliver.answer import Unclear
from gateway.deliver.refusal import Refusal
from gateway.deliver.seek import Unsearchable
from gateway.pull.inflate import TooLarge
from gateway.pull.network import NotSent, TimedOut
from gateway.pull.outcome import ServerError
from gateway.pull.retry import ComeBackLater, OutOfOrder
from security.errors import BadSettings, Denied, Erased, Fault, NotFhir, Sealed, StoreFull, Unreachable

__all__ = ["REASONS", "Deed", "Mistake", "Reason", "Verdict", "is_unsure", "reason_of", "rests", "verdict_on"]

Deed = Literal["ask", "again", "rest", "other-way", "other-type", "several", "lay-aside"]
"""What is done: "ask" the server what is there; try "again" later; let the whole source "rest"; go in a smaller or
"other-way"; write it as an "other-type"; look at "several" that match; "lay-aside" for a person."""


class Mistake(Fault):
    """Something that we did not foresee, while one delivery was worked on: it costs only that one."""

    code = "mistake"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a delivery waits or did not arrive: what happened, what would help, whether it is tried again by itself."""

    said: str
    hint: str
    again: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one answer means."""

    reason: str
    deed: Deed


_WAIT: Final = "Nothing: it is tried again."

REASONS: Final[Mapping[str, Reason]] = MappingProxyType(
    {
        # The server did not do it, and may do it later.
        "unreachable": Reason("The server cannot be reached; nothing was sent.", f"{_WAIT} Else check url.", True),
        "timeout": Reason("The server did not answer in time; it may have been done.", _WAIT, True),
        "broke-off": Reason("The connection broke off; it may have been done.", _WAIT, True),
        "server-error": Reason("The server failed (5xx); it may have been done.", _WAIT, True),
        "unclear": Reason("From the server's answer nobody can tell what was done.", _WAIT, True),
        "settling": Reason(
            "An answer was lost, and what was sent is not found there yet. Once it has had time to appear (settle_s), "
            "it is looked for again, and only then sent again.",
            _WAIT,
            True,
        ),
        "slow-down": Reason("The server asked us to send less (429).", "Lower at_once or set a_second.", True),
        "conflict": Reason("Somebody else was writing there at the same time (409).", _WAIT, True),
        "stopped": Reason("The worker stopped before it was this one's turn.", _WAIT, True),
        "lease-lost": Reason("Another worker has taken it up.", _WAIT, True),
        "mistake": Reason(
            "A mistake of ours; it may have been done.", "Please report the lines that twin deliver printed.", True
        ),
        # The whole source rests.
        "credentials": Reason(
            "The server does not accept our credentials (401).",
            "Check auth, client_id, the key and the clock; run twin doctor.",
            True,
        ),
        "forbidden": Reason(
            "The server forbids us to write (403).", "Ask its operator for the scopes; run twin doctor.", True
        ),
        "format": Reason(
            "The server does not take FHIR as JSON (406, 415).", "Check url and fhir_version; run twin doctor.", True
        ),
        "not-fhir": Reason("What the server answers is not FHIR.", "Check url; run twin doctor.", True),
        "settings": Reason("twin.toml, or a file that it names, cannot be used.", "Run twin doctor.", True),
        "store": Reason(
            "The store could not be read or written.", "Check the disk, and whether another keeps it.", True
        ),
        # Something here says no. It is asked again.
        "consent": Reason(
            "The patient's consents do not allow it to leave now.", "twin consent test says which and why.", True
        ),
        "restricted": Reason("What may be done with this twin is restricted.", "twin restrict --lift ends that.", True),
        "source-gone": Reason(
            "twin.toml does not know the source any more, or it is a folder now.",
            "Put it back, or drop the delivery (twin outbox drop).",
            True,
        ),
        "write-off": Reason(
            "twin.toml says write = false for the source.", "Say write = true, or drop the delivery.", True
        ),
        "tenant": Reason(
            "The source is another tenant's than the patient.", "Put its tenant back, or drop the delivery.", True
        ),
        "scope": Reason(
            "The token that the server gave us does not let us create this.",
            "Ask its operator for the scopes that twin doctor names.",
            True,
        ),
        "not-agreed": Reason("Nobody has agreed to it.", "Somebody who may: twin proposals approve.", True),
        "account-disabled": Reason(
            "Who agreed to it has no account any more.", "Somebody else: twin proposals approve.", True
        ),
        "role-lost": Reason(
            "Who agreed to it has not the role any more.", "Somebody who has it: twin proposals approve.", True
        ),
        "policy-changed": Reason(
            "By the policy of today it had to be agreed to otherwise.", "twin proposals show says who may.", True
        ),
        "unreadable": Reason(
            "What is kept of it does not open: a key is missing, or bytes were changed.",
            "Put back the key store; then twin outbox retry.",
            True,
        ),
        # It does not go there at all, as it is.
        "invalid": Reason(
            "The server says that it is not valid (400, 422).",
            "twin outbox show has its words; ask its operator for its rules, or set guide. Then twin outbox retry.",
            False,
        ),
        "refused": Reason("The server refuses it.", "twin outbox show has its words. Then twin outbox retry.", False),
        "too-large": Reason("A single resource is too large for the server (413).", "Ask its operator.", False),
        "no-rung": Reason(
            "The server takes none of the types in which it could be told.",
            "Ask its operator for RiskAssessment, Observation or DocumentReference; then twin outbox retry.",
            False,
        ),
        "unsearchable": Reason(
            "An answer was lost, and the server cannot be asked whether it is there.",
            "Look there; then twin outbox drop --even-if-unsure, or twin outbox retry --not-there.",
            False,
        ),
        "several": Reason(
            "Several match our name there that are not the same.", "Look there which one holds; tell us.", False
        ),
        "given-up": Reason(
            "It was tried for as long as give_up_h says.", "When the server works again: twin outbox retry.", False
        ),
        "erased": Reason("The twin was erased.", "Nothing: there is nothing left to send.", False),
        "joined": Reason(
            "The twin was found to be the same person as another one, and is one with it now.",
            "Run the model for that one, and propose its result.",
            False,
        ),
        "retracted": Reason("A record that it stands on was taken back.", "Nothing: it must not leave.", False),
        "corrected": Reason("A record that it stands on was corrected.", "Run the model again, and propose.", False),
        "overtaken": Reason("Newer records have given another result.", "Nothing: the newer one goes.", False),
        "dropped": Reason("Somebody dropped it.", "Nothing; a new run can be proposed.", False),
        # A change of what is there.
        "changed-at-ehr": Reason("Somebody changed it at the EHR: we do not write over that.", "Look there.", False),
        "not-ours": Reason("What stands at that address is not ours.", "Look there.", False),
        "no-updates": Reason(
            "The server lets nobody change what is there.", "Ask its operator to mark it; it does not stand.", False
        ),
        "not-there": Reason(
            "Nothing of what is to be changed is known to be there.", "Look there; then drop it.", False
        ),
        # Arrived, with a remark.
        "gone-at-ehr": Reason("What was to be changed is not there any more.", "Nothing.", False),
        "overwrote": Reason(
            "The server does not heed If-Match: what somebody changed at the same moment is lost.", "Look there.", False
        ),
        "copies": Reason(
            "More than one copy of it is there, and the others could not be removed.",
            "Ask the server's operator to remove them: twin outbox show names them.",
            False,
        ),
    }
)
"""Every reason that a delivery can have, by its code."""

_VERDICTS: Final[Mapping[int, Verdict]] = {
    400: Verdict("invalid", "other-way"),
    401: Verdict("credentials", "rest"),
    403: Verdict("forbidden", "other-type"),
    404: Verdict("refused", "other-type"),
    405: Verdict("refused", "other-type"),
    406: Verdict("format", "rest"),
    407: Verdict("credentials", "rest"),
    408: Verdict("timeout", "ask"),
    409: Verdict("conflict", "again"),
    410: Verdict("refused", "other-type"),
    412: Verdict("several", "several"),
    413: Verdict("too-large", "other-way"),
    415: Verdict("format", "rest"),
    422: Verdict("invalid", "other-way"),
    423: Verdict("conflict", "again"),
    424: Verdict("conflict", "again"),
    425: Verdict("slow-down", "rest"),
    429: Verdict("slow-down", "rest"),
    501: Verdict("refused", "other-type"),
}


def verdict_on(refusal: Refusal) -> Verdict:
    """Say what an answer that is not 2xx means."""
    status = refusal.status
    if status in (400, 422) and "error not-supported" in refusal.outcome.codes:
        return Verdict("refused", "other-type")
    if status in _VERDICTS:
        return _VERDICTS[status]
    if status >= 500:
        return Verdict("server-error", "ask")
    if status >= 400:
        return Verdict("refused", "lay-aside")
    return Verdict("not-fhir", "rest")  # a redirect that leads nowhere


def reason_of(fault: Fault) -> str:
    """Name why something failed for which there is no answer of the server."""
    match fault:
        case Refusal():
            return verdict_on(fault).reason
        case ComeBackLater():
            return "slow-down"
        case NotSent() | OutOfOrder():
            return "unreachable"
        case Unclear() | TooLarge():
            return "unclear"
        case TimedOut():
            return "timeout"
        case Unsearchable():
            return "unsearchable"
        case ServerError():
            return "server-error"
        case Unreachable() if fault.code in REASONS:
            return fault.code
        case Unreachable():
            return "broke-off"
        case NotFhir():
            return "not-fhir"
        case Erased():
            return "erased"
        case Sealed():
            return "unreadable"
        case Denied():
            return "credentials"
        case BadSettings():
            return "settings"
        case StoreFull():
            return "store"
        case _:
            return fault.code if fault.code in REASONS else "refused"


def is_unsure(fault: Fault) -> bool:
    """Say whether after a fault while something was sent nobody knows if it was done."""
    if isinstance(fault, Refusal):
        return verdict_on(fault).deed == "ask"
    if isinstance(fault, NotSent | OutOfOrder | ComeBackLater | Unsearchable):
        return False
    return isinstance(fault, Unreachable | NotFhir | TooLarge | Mistake)


def rests(fault: Fault) -> bool:
    """Say whether a fault is of the whole source, so that nothing more should be sent to it for a while."""
    if isinstance(fault, Refusal):
        return verdict_on(fault).deed == "rest"
    return isinstance(fault, NotSent | OutOfOrder | ComeBackLater | Denied | BadSettings)
