"""What a server can and cannot do, as data: its vendor's habits, what it says of itself, and what probes saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ["Bulk", "Profile", "Slice", "Truth", "Unknown"]

Truth = Literal["yes", "no", "unknown"]
Unknown = Literal["refused", "dropped", "repeated", "unknown"]


class Slice(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the questions by which a server wants a type asked for ("Observation" with category=laboratory).

    `whole` says that the slices of a type together are all of it, by the server's own word.
    """

    parameters: tuple[tuple[str, str], ...]
    whole: bool = False


class Bulk(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a server exports.

    `commas` says that several types go into one `_type`, "yes"; repeated, "no". `post` says that a kick-off is a POST.
    `levels` are those at which it exports ("system", "patient", "group"); empty where nobody said. `since` says whether
    `_since` is taken. `one_at_a_time` says that a second job is refused while one is there, so that a job that is done
    has to be dropped. `signed_files` says that a file's URL leads to a signed one elsewhere, which takes no token.
    """

    offered: Truth = "unknown"
    levels: tuple[str, ...] = ()
    commas: Truth = "unknown"
    post: Truth = "unknown"
    deletes: Truth = "unknown"  # whether a job and its files are dropped on DELETE
    since: Truth = "unknown"
    one_at_a_time: Truth = "unknown"
    signed_files: Truth = "unknown"


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a server can and cannot do, so far as it is known. All that is not known is "unknown", and is tried.

    Parameters
    ----------
    vendor
        Whose habits were expected ("epic"); "" where nobody's.
    software
        What the server calls itself, with its version.
    last_updated
        Whether `_lastUpdated` filters.
    unknown_parameters
        What it does with a search parameter that no server has (`gateway.pull.page.Control`).
    post_search
        Whether `POST Type/_search` is answered; `longest_url` is the length from which on it is used: 0, for each
        search.
    strict
        Whether it refuses such a parameter where `Prefer: handling=strict` is said.
    largest_page
        The largest `_count` that it takes, 0 where nobody knows.
    counts
        Whether it tells the number of rows when asked for `_summary=count`.
    totals
        What `Bundle.total` of a page is worth: "told", "estimate" (exact on the last page only), or "absent".
    everything
        Whether `Patient/[id]/$everything` is whole: walked to its end, all types, no cap. It is "no" where the server
        does not have it, and never "yes" because of a probe: no single answer proves it.
    everything_cap
        The number of rows after which `$everything` ends without a word, 0 where none is known.
    slices
        By type, in which questions it has to be asked.
    per_patient
        Types that are searched by patient only ("*": all).
    created
        By type, the search parameter of its date of creation, for servers without `_lastUpdated`.
    not_searched, also_searched
        Types that it says it searches, and does not, by habit alone: one refusal is no proof. And those of ours that it
        searches and says nothing of.
    overlap_s
        How far clocks and replicas may lag: an increment begins so many seconds before its watermark.
    at_once, a_second
        How many requests it takes at the same time, and in a second; 0 where nobody knows.
    headers
        What it wants to see in each request, by name; "{client_id}" stands for ours.
    skew_s
        How many seconds its clock is ahead of ours, by its `Date` header when it was asked; negative: behind.
    profiles
        The profiles of US Core that it says it supports and that something we write conforms to.
    because
        How each field is known, by its name ("bulk.commas"): "statement", "probe", "habit: epic", "told", or "fhir",
        where FHIR itself says it.
    basis
        What this was learned from (the server's base, its statement, its vendor's habits), as a digest, and `learned`,
        when (an instant; "" where not every question was answered): it holds until either is another.
    """

    vendor: str = ""
    software: str = ""
    last_updated: Truth = "unknown"
    unknown_parameters: Unknown = "unknown"
    strict: Truth = "unknown"
    post_search: Truth = "unknown"
    longest_url: int = 2000
    largest_page: int = 0
    counts: Truth = "unknown"
    totals: Literal["told", "estimate", "absent", "unknown"] = "unknown"
    everything: Truth = "unknown"
    everything_cap: int = 0
    slices: Mapping[str, tuple[Slice, ...]] = {}
    per_patient: tuple[str, ...] = ()
    created: Mapping[str, str] = {}
    not_searched: tuple[str, ...] = ()
    also_searched: tuple[str, ...] = ()
    overlap_s: int = 3600
    at_once: int = 0
    a_second: float = 0
    headers: Mapping[str, str] = {}
    skew_s: int = 0
    profiles: tuple[str, ...] = ()
    because: Mapping[str, str] = {}
    basis: str = ""
    learned: str = ""
    bulk: Bulk = Bulk()
