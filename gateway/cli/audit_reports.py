"""twin audit disclosures, twin audit access-log."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cyclopts import Parameter

from gateway.audit_reports import access_log, disclosures, whom
from gateway.cli.orders import utc
from gateway.cli.terminal import Options, note, print_json, print_table, say
from gateway.home import Home, now
from gateway.reports.sheet import Sheet
from gateway.reports.writing import check_form, write_sheet
from gateway.settings import load_settings
from security.audit.accounting import YEARS
from security.audit.search import Span
from security.errors import Misuse

__all__ = ["access_log_", "disclosures_"]

_From = Annotated[datetime | None, Parameter(name="--from")]


def disclosures_(
    *,
    patient: str,
    since: _From = None,
    to: datetime | None = None,
    out: Path | None = None,
    options: Options = Options(),
) -> None:
    """Account for the disclosures of a patient's data: when, to whom, what and why (HIPAA, 45 CFR 164.528).

    Disclosures for treatment, payment and operations, and to the patient, are counted only. Asking is recorded.

    Parameters
    ----------
    patient
        The twin's id, or the beginning of it; of an erased twin its whole id.
    since
        From when on; without it six years back.
    to
        Until when; without it until now.
    out
        Write it to this file: .html, .pdf or .csv.
    """
    check_form(out)
    moment = now()
    span = Span(utc(since) or _years_back(moment, YEARS), utc(to) or moment)
    with Home.open(load_settings(options.home), create=False) as home:
        sheet, told = disclosures(home, whom(home, patient), span, moment)
    _give(sheet, told, out, moment, options)


def access_log_(
    *,
    patient: str,
    since: _From = None,
    to: datetime | None = None,
    zone: str = "UTC",
    each: Annotated[bool, Parameter(negative="")] = False,
    out: Path | None = None,
    options: Options = Options(),
) -> None:
    """Tell a patient who used the record, when and why, in plain words. Asking is recorded, and stands in it, too.

    Parameters
    ----------
    patient
        The twin's id, or the beginning of it; of an erased twin its whole id.
    since
        From when on; without it from the beginning of the log.
    to
        Until when; without it until now.
    zone
        The time zone in which days begin ("Europe/Zurich").
    each
        Tell each event by itself, instead of those of a day that are alike together.
    out
        Write it to this file: .html, .pdf or .csv.
    """
    check_form(out)
    moment, where = now(), _zone(zone)
    with Home.open(load_settings(options.home), create=False) as home:
        sheet, told = access_log(home, whom(home, patient), Span(utc(since), utc(to)), moment, where, each=each)
    _give(sheet, told, out, moment, options)


def _give(sheet: Sheet, told: dict[str, Any], out: Path | None, moment: datetime, options: Options) -> None:
    if out is not None:
        write_sheet(sheet, out, moment)
        note(f"Written to {out}, readable by you only.")
    if options.json:
        print_json({"title": sheet.title, **dict(zip(("record", "from", "to"), _said(sheet), strict=True)), **told})
        return
    if out is not None:
        return
    if sheet.rows:
        headings = [f">{c.heading}" if c.number else c.heading for c in sheet.columns]
        print_table(sheet.title, headings, sheet.rows)
    else:
        say(sheet.empty)
    for each in sheet.notes:
        say(each)


def _said(sheet: Sheet) -> list[str]:
    return [said for _, said in sheet.facts[:3]]


def _years_back(moment: datetime, years: int) -> datetime:
    """Go back by the calendar; 29 February becomes the 28th."""
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year - years, day=day)


def _zone(name: str) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Misuse("There is no such time zone.", hint='Say one as "Europe/Zurich".', detail=name) from error
