"""Who has to agree before a result is written to an EHR, as twin.toml tells it, and what becomes of old ones there."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from security.policy import Role

__all__ = ["ApprovalRule", "ApprovalSettings", "Kind"]

Kind = Literal["observation", "risk", "plan", "warning", "change"]
"""What a proposal tells: simulated values, risks (with or without values), what a plan may bring, a warning, or that a
result of ours no longer stands."""


class ApprovalRule(BaseModel):
    """One rule. It is about proposals of these models, kinds and sources, and where one is empty about any.

    Parameters
    ----------
    by
        "automatic": agreed to when it is proposed. "role": by somebody who has one of `roles`. "person": by one of
        `people`, or where that is empty by anybody who may work here.
    roles
        Roles of accounts (`twin user`), and at the terminal of those whom `ApprovalSettings.roles` lists.
    people
        Names of accounts, or of accounts of the operating system for people at the terminal.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["automatic", "role", "person"]
    models: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    sources: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    people: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _says_who(self) -> ApprovalRule:
        if (self.by == "role") != bool(self.roles):
            raise ValueError('by = "role" needs roles, and roles need by = "role"')
        if self.people and self.by != "person":
            raise ValueError('people need by = "person"')
        return self


class ApprovalSettings(BaseModel):
    """Who agrees to what, and what is done about results at an EHR that no longer stand.

    Parameters
    ----------
    rules
        The first that fits a proposal holds. Where none does, a warning and a change are agreed to by what asked for
        them (`[warnings] deliver`, and the settings below), and anything else by a person.
    roles
        Which accounts of the operating system have a role at the terminal.
    overtaken
        What becomes of a result when newer data has given another one: "amend" (it says so, and names the other one) or
        "leave".
    corrected, retracted
        What becomes of it when a source corrected, or took back, what it stands on: "retract" (entered in error) or
        "leave".
    why
        Whether who agrees has to say why; who declines has to in any case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[ApprovalRule, ...] = ()
    roles: dict[Role, tuple[Annotated[str, Field(min_length=1)], ...]] = {}
    overtaken: Literal["amend", "leave"] = "amend"
    corrected: Literal["retract", "leave"] = "retract"
    retracted: Literal["retract", "leave"] = "retract"
    why: bool = False
