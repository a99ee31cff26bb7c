"""twin consent list, twin consent show, twin consent test."""

# ruff: noqa: PT028 - `twin consent test` is a command

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.cli.orders import utc
from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.consent_trial import ACTIONS, Trial, Tried, consents_in, try_consents
from gateway.home import Home, now
from gateway.settings import load_settings
from security.consent import Directive, Opinion
from security.errors import UnknownName

__all__ = ["list_", "show_", "test_"]


def list_(twin: str, /, *, options: Options = Options()) -> None:
    """List the consents of one twin: what each is about, whether it is in force, and what of it is not understood.

    Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = consents_in(home, twin)
        without = home.settings.serve.without_consent
    if options.json:
        print_json(
            {"twin": found.twin, "without_consent": without, "consents": [_listed(each) for each in found.directives]}
        )
        return
    if not found.directives:
        say(f"Twin {found.twin[:8]} has no consent: without_consent = {without} holds. See docs/consent.md.")
        return
    print_table(
        f"Consents of twin {found.twin[:8]}; where none says anything, without_consent = {without} holds",
        ["Consent", "Status", "In force", "About", "Base policy", "Provisions", "Not understood, so it denies"],
        (
            (
                each.reference.removeprefix("Consent/"),
                each.status,
                "yes" if each.is_in_force else "no",
                each.scope,
                each.base,
                sum(1 for _ in each.provisions()),
                "; ".join(each.problems) or "–",
            )
            for each in found.directives
        ),
    )


def show_(twin: str, consent: str, /, *, options: Options = Options()) -> None:
    """Show one consent of a twin as we read it: each provision with its conditions.

    Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    consent
        The consent's id in twin consent list, or the beginning of it, or of what follows the id of the twin.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        found = consents_in(home, twin)
    names = {each.reference: each.reference.removeprefix("Consent/") for each in found.directives}
    matching = [
        each
        for each in found.directives
        if any(
            n.startswith(consent) for n in (names[each.reference], names[each.reference].removeprefix(f"{found.twin}-"))
        )
    ]
    if len(matching) != 1:
        raise UnknownName("consent", consent, names.values())
    directive = matching[0]
    provisions = [*directive.provisions()]
    if options.json:
        print_json(
            {
                **_listed(directive),
                "provisions": [
                    {"path": each.path, "type": each.type, "conditions": {c.name: c.said for c in each.conditions}}
                    for each in provisions
                ],
                "resource": found.bodies.get(directive.reference),
            }
        )
        return
    say(f"{directive.reference}: {directive.status}, about {directive.scope}, base policy {directive.base}")
    for problem in directive.problems:
        say(f"Not understood, so it denies: {problem}")
    print_table(
        "Provisions: all conditions of one have to be met; the innermost that is met decides",
        ["Where", "Type", "Conditions"],
        (
            (
                each.path,
                each.type or "(none)",
                "; ".join(f"{condition.name}: {condition.said}" for condition in each.conditions) or "always",
            )
            for each in provisions
        ),
    )


def test_(
    twin: str,
    /,
    *,
    purpose: str = "TREAT",
    client: str = "",
    user: str = "",
    fhir_user: str = "",
    role: tuple[str, ...] = (),
    action: str = "r",
    type: Annotated[str, Parameter(name="--type")] = "",
    code: tuple[str, ...] = (),
    label: tuple[str, ...] = (),
    resource: str = "",
    at: datetime | None = None,
    options: Options = Options(),
) -> int:
    """Try what the consents of a twin would let somebody have, and say which consent decides and by which provision.

    Nothing is opened to anybody. Exit status 4 where it is not allowed. Reading it is recorded.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    purpose
        Why: a code of HL7 v3-ActReason, such as TREAT, HRESCH or HPAYMT.
    client
        The id of a client of ours.
    user
        An account of ours; without it a client asks for itself.
    fhir_user
        The resource that this person is, such as Practitioner/7.
    role
        A role of theirs; say it again for another one.
    action
        r (read), s (search), c, u, d, use (a run) or disclose (a delivery).
    type
        The type of the resource, such as Condition.
    code
        A code in it, as "system|code"; say it again for another one.
    label
        A security label that it carries, as "system|code".
    resource
        Instead: one resource of the record, such as Condition/… of twin consent list or of the API.
    at
        When it is asked (UTC where no zone is told); by default now.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        trial = Trial(
            purpose=purpose,
            client=client or "terminal",
            user=user,
            fhir_user=fhir_user,
            roles=role,
            action=action,
            type=type,
            codes=code,
            labels=label,
            resource=resource,
            at=utc(at) or now(),
        )
        tried = try_consents(home, twin, trial)
    if options.json:
        print_json(_told(tried))
    else:
        _show(tried)
    return 0 if tried.verdict.permit else 4


def _show(tried: Tried) -> None:
    said = "allowed" if tried.verdict.permit else "not allowed"
    by = f", by {', '.join(tried.verdict.consents)}" if tried.verdict.consents else ""
    say(f"{ACTIONS[tried.trial.action]} {tried.what} for {tried.trial.purpose}: {said} ({tried.verdict.rule}{by})")
    say(tried.why)
    if tried.labels:
        say(f"Sensitive: {', '.join(tried.labels)}")
    if not tried.opinions:
        say("The twin has no consents.")
        return
    print_table(
        "What each consent says",
        ["Consent", "Says", "Why", "Provision", "Type", "Conditions", "Outcome"],
        (row for opinion in tried.opinions for row in _rows(opinion)),
    )


def _rows(opinion: Opinion) -> list[tuple[str, ...]]:
    first = (opinion.consent.removeprefix("Consent/"), opinion.outcome, opinion.why)
    steps = [
        (
            step.path,
            step.type or "(none)",
            ", ".join(f"{name}: {met}" for name, met in step.checks) or "none",
            step.outcome,
        )
        for step in opinion.steps
    ] or [("", "", "", "")]
    return [(*(first if index == 0 else ("", "", "")), *step) for index, step in enumerate(steps)]


def _told(tried: Tried) -> dict[str, Any]:
    verdict = tried.verdict
    return {
        "twin": tried.twin,
        "purpose": tried.trial.purpose,
        "action": tried.trial.action,
        "what": tried.what,
        "at": tried.trial.at.astimezone(UTC),
        "permit": verdict.permit,
        "rule": verdict.rule,
        "why": tried.why,
        "by": list(verdict.consents),
        "labels": list(tried.labels),
        "consents": [asdict(opinion) for opinion in tried.opinions],
    }


def _listed(directive: Directive) -> dict[str, Any]:
    return {
        "consent": directive.reference,
        "status": directive.status,
        "in_force": directive.is_in_force,
        "scope": directive.scope,
        "base": directive.base,
        "verified": directive.verified,
        "not_understood": list(directive.problems),
    }
