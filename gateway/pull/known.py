"""What is known of a server, for people: each thing in words, from where it is known, and what it means for a pull."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.pull.profile import Profile, Truth

__all__ = ["Known", "what_is_known"]


@dataclass(frozen=True, slots=True)
class Known:
    """One thing: the field of the profile, what it is, why we think so, and what follows ("" where nothing does)."""

    what: str
    value: str
    because: str
    means: str = ""


_LAST_UPDATED = {
    "yes": "What changed since the last pull can be asked for.",
    "no": "What changed since the last pull cannot be asked for: dates of creation are used, where there are any; "
    "edits are seen by a pull of all.",
}
_UNKNOWN = {
    "refused": "A filter that it does not know is refused, so that what comes is filtered.",
    "dropped": "A filter that it does not know is ignored, and left out of the self link: that is checked.",
    "repeated": "A filter that it does not know is ignored and still repeated: no filter can be proven, and a pull of "
    "changes is at best unprovable.",
}


def what_is_known(profile: Profile) -> Iterator[Known]:
    """Yield what is known of a server; what nobody knows is left out, since it is tried."""
    because = profile.because

    def known(what: str, value: str, means: str = "") -> Known:
        of = (
            because.get(what)
            or because.get(what.partition(".")[0])
            or next((why for name, why in because.items() if name.startswith(f"{what}.")), "")
        )
        return Known(what, value, of, means)

    if profile.vendor:
        yield known("vendor", profile.vendor)
    yield from _truth(known("last_updated", profile.last_updated), _LAST_UPDATED)
    yield from _truth(known("unknown_parameters", profile.unknown_parameters), _UNKNOWN)
    yield from _truth(
        known("strict", profile.strict), {"yes": "It is asked to refuse what it does not know wherever we filter."}
    )
    yield from _truth(
        known("counts", profile.counts),
        {
            "yes": "How many there are is asked for, and compared.",
            "no": "Nobody says how many there are, unless a page does: a pull may be unprovable.",
        },
    )
    yield from _truth(
        known("totals", profile.totals),
        {
            "estimate": "Bundle.total counts on the last page only.",
            "absent": "How many there are is asked for separately.",
        },
    )
    if profile.post_search != "unknown":
        always = "Each search is a POST." if not profile.longest_url else ""
        long = (
            f"Searches longer than {profile.longest_url} characters are POSTs." if profile.post_search == "yes" else ""
        )
        yield known("post_search", profile.post_search, always or long or "Long searches may be refused.")
    if profile.largest_page:
        yield known("largest_page", str(profile.largest_page), "Larger pages are not asked for.")
    for type_, slices in profile.slices.items():
        told = ", ".join("&".join(f"{name}={value}" for name, value in each.parameters) for each in slices)
        whole = (
            "They are all of it." if all(each.whole for each in slices) else "Others may exist, and would be missing."
        )
        yield known(f"slices.{type_}", told, f"Asked for in {len(slices)} questions. {whole}")
    if profile.per_patient:
        types = "all clinical types" if "*" in profile.per_patient else ", ".join(profile.per_patient)
        yield known("per_patient", types, "Asked for patient after patient.")
    if profile.created:
        told = ", ".join(f"{type_}: {name}" for type_, name in profile.created.items())
        yield known("created", told, "Types that are not named here are asked for whole each time.")
    if profile.not_searched:
        yield known("not_searched", ", ".join(profile.not_searched), "It says that it searches them, and does not.")
    if profile.also_searched:
        yield known("also_searched", ", ".join(profile.also_searched), "It does not say so; they are asked for, too.")
    yield from _truth(known("everything", profile.everything), {"no": "$everything is not used."})
    if profile.everything_cap:
        yield known("everything_cap", str(profile.everything_cap), "$everything ends there without a word.")
    for name, value in profile.headers.items():
        yield known(f"headers.{name}", value, "Sent with each request.")
    if profile.at_once:
        yield known("at_once", str(profile.at_once), "No more requests are under way.")
    if profile.a_second:
        yield known("a_second", f"{profile.a_second:g}", "No more requests are sent in a second.")
    if profile.profiles:
        names = ", ".join(each.rpartition("/")[2] for each in profile.profiles)
        yield known("profiles", names, "Results go to it in US Core's shape.")
    if profile.skew_s:
        way = "ahead of" if profile.skew_s > 0 else "behind"
        yield known(
            "skew_s", str(profile.skew_s), f"Its clock is {abs(profile.skew_s)} seconds {way} ours; its own counts."
        )
    yield from _bulk(profile)


def _bulk(profile: Profile) -> Iterator[Known]:
    bulk, because = profile.bulk, profile.because

    def known(name: str, value: str) -> Known:
        return Known(f"bulk.{name}", value, because.get(f"bulk.{name}", ""))

    yield from _truth(known("offered", bulk.offered), {"yes": 'way = "bulk" may be used.'})
    if bulk.levels:
        group = "It needs group." if bulk.levels == ("group",) else ""
        yield Known("bulk.levels", ", ".join(bulk.levels), because.get("bulk.levels", ""), group)
    for name, value, means in (
        ("commas", bulk.commas, {"yes": "Types go into one _type.", "no": "Each type is a _type of its own."}),
        ("post", bulk.post, {"yes": "An export begins with a POST."}),
        ("deletes", bulk.deletes, {"yes": "An export is dropped once it is fetched."}),
        ("since", bulk.since, {"no": "An export is always of all."}),
        ("one_at_a_time", bulk.one_at_a_time, {"yes": "An export that was left behind stands in the way of the next."}),
        ("signed_files", bulk.signed_files, {"yes": "Files lie elsewhere, and are fetched without our token."}),
    ):
        yield from _truth(known(name, value), means)


def _truth(known: Known, means: dict[str, str]) -> Iterator[Known]:
    unknown: Truth = "unknown"
    if known.value != unknown:
        yield Known(known.what, known.value, known.because, means.get(known.value, ""))
