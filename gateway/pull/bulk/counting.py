"""How what comes of a file is counted: with the file while it is under way, with its type when it is at its end."""

from __future__ import annotations

from gateway.pull.bulk.job import OUTCOMES, Job, Opened, named
from gateway.pull.bulk.loading import Loaded
from gateway.pull.bulk.manifest import File

__all__ = ["count"]


def count(job: Job, file: File, part: Loaded) -> int:
    """Count a part of a file, and put the file behind us where that was its end; return which page of it this is.

    A file that turned out to be another one in the middle is counted from its new start.
    """
    opened = job.opened.get(part.index, Opened())
    if part.is_anew:
        opened = Opened(pages=opened.pages)
    content, came = part.content, dict(opened.came)
    for type_, number in content.came.items():
        came[type_] = came.get(type_, 0) + number
    opened = Opened(
        part.mark,
        opened.pages + 1,
        opened.rows + content.rows,
        opened.others + content.others,
        opened.unread + content.unread,
        opened.nameless + content.nameless,
        came,
    )
    if content.is_bad:
        job.tally(OUTCOMES).sign("outcome-in-set")
    if content.codes:
        job.remark(f"Outcomes in the export: {', '.join(sorted(content.codes))}.")
    if part.is_end:
        _close(job, file, opened, part.stopped)
        job.finish(part.index)
    else:
        job.opened = {**job.opened, part.index: opened}
    return opened.pages


def _close(job: Job, file: File, opened: Opened, stopped: str) -> None:
    """Add a file to its tally, and say what speaks against it.

    A file whose number is not told has no other sign of a line that could not be read. Of outcomes that cannot be had
    nobody knows of which type they tell, unless the manifest says that none is bad.
    """
    tally = job.tally(named(file))
    for type_, number in opened.came.items():
        here = job.tally(type_) if file.part == "output" and not file.type else tally
        here.came += number
        here.pages += opened.pages
    if not opened.came:
        tally.pages += opened.pages
    if file.part == "outcome" and file.harmless:
        return
    if file.count is not None and not stopped and file.count not in (opened.rows, opened.rows + opened.others):
        tally.sign("count-differs" if opened.rows < file.count else "surplus")
    if opened.nameless:
        tally.sign("without-id")
    if stopped == "file-error" or (stopped and named(file) == OUTCOMES):
        tally.sign("file-error")
    elif stopped:
        tally.stopped = stopped
    elif opened.unread and (file.count is None or file.part != "output"):
        tally.sign("file-error")
