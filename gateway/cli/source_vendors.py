"""twin source vendors."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.profiles import vendors_folder
from gateway.pull.habits import Vendor, load_habits
from gateway.settings import load_settings
from security.errors import UnknownName

__all__ = ["vendors_"]


def vendors_(vendor: str | None = None, /, *, options: Options = Options()) -> None:
    """List the EHR vendors whose servers' habits are known, or the habits of one, each with who says so.

    Files of your own in the folder vendors of the home folder are listed, too.

    Parameters
    ----------
    vendor
        A name from the list ("epic"); without it, all of them.
    """
    vendors = load_habits(vendors_folder(load_settings(options.home).home))
    if vendor is None:
        _list(vendors, options)
        return
    if vendor not in vendors:
        raise UnknownName("vendor", vendor, vendors)
    _show(vendors[vendor], options)


def _list(vendors: Mapping[str, Vendor], options: Options) -> None:
    if options.json:
        print_json({"vendors": [_summary(each) for each in vendors.values()]})
        return
    rows = ((v.key, v.name, len(v.habits), v.unconfirmed, v.citations) for v in vendors.values())
    print_table("Vendors", ["Name", "Vendor", ">Habits", ">Not confirmed", ">Citations"], rows)


def _show(vendor: Vendor, options: Options) -> None:
    if options.json:
        habits = [habit.model_dump(mode="json") for habit in vendor.habits]
        print_json({**_summary(vendor), "known_by": vendor.known_by.model_dump(mode="json"), "habits": habits})
        return
    rows = (
        ("✓" if h.confirmed else "?", h.sets, h.shown, ", ".join(h.fhir), h.says, f"{h.cite} ({h.seen})")
        for h in vendor.habits
    )
    print_table(vendor.name, ["", "Sets", "To", "FHIR", "Habit", "Who says so, and when we looked"], rows)
    if vendor.unconfirmed:
        say("? was not confirmed: no pull acts on it.")


def _summary(vendor: Vendor) -> dict[str, str | int]:
    return {
        "key": vendor.key,
        "name": vendor.name,
        "count": len(vendor.habits),
        "unconfirmed": vendor.unconfirmed,
        "citations": vendor.citations,
    }
