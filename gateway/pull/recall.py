"""What a walk remembers of the pages behind it: which rows came already, which patients, what is to be filled in.

Counts are exact only where that is known. A cursor is stored with each page and must stay small: where landed pages can
be read again, it carries none of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gateway.pull.bundle import head_of
from gateway.pull.fill_ins import References
from gateway.pull.page import Page
from gateway.pull.parts import name_of_part
from gateway.pull.seen import Seen, fingerprint
from gateway.pull.walk import Question, Walk

__all__ = ["Recall"]

_KEYS = 20_000  # that a cursor carries over all open questions, where landed pages cannot be read: 160 KB of text
_URLS = 100
_NAMES = 1_000  # of patients, and of what is to be filled in

_Key = tuple[int, int]


class Recall:
    """The keys of open questions, the patients who came, and what is to be filled in.

    Parameters
    ----------
    landed
        Reads the pages that were landed before, where somebody keeps them.

    `recorded` is what came with the records of patients.
    """

    def __init__(self, walk: Walk, references: References, landed: Callable[[], Iterable[Page]] | None) -> None:
        self._landed, self._references = landed, references
        self._seen = {(each.inquiry, each.part): (Seen(each.keys), Seen(each.urls)) for each in walk.open}
        self.patients = list(walk.patients)
        self._met = set(self.patients)
        self.recorded = Seen()
        for each in walk.inquiries:
            each.is_exact = each.is_exact and (landed is not None or not each.pages or not each.by_type)
        for patient in self.patients:
            references.arrived("Patient", patient)
        references.want(walk.wanted)
        if landed is not None and walk.number:
            self._read(walk, landed)
        walk.open = [
            msgspec.structs.replace(each, exact=each.exact and len(self.of(each)[0]) >= each.came) for each in walk.open
        ]
        self.lost = len(self.patients) < walk.patients_came

    def of(self, question: Question) -> tuple[Seen, Seen]:
        """Return the rows and the links that a question has seen."""
        return self._seen.setdefault((question.inquiry, question.part), (Seen(), Seen()))

    def keep(self, question: Question, seen: Seen, urls: Seen) -> None:
        """Take over what a question has seen now."""
        self._seen[question.inquiry, question.part] = (seen, urls)

    def forget(self, question: Question) -> None:
        """Drop what a question has seen: it has ended, or is asked anew."""
        self._seen.pop((question.inquiry, question.part), None)

    def meet(self, patient: str) -> None:
        """Note a patient who came."""
        if patient not in self._met:
            self._met.add(patient)
            self.patients.append(patient)

    def written(self, walk: Walk) -> str:
        """Write the cursor of a walk, with as much of this as is needed and as it can carry."""
        each_has = 0 if self._landed is not None else _KEYS // max(1, len(walk.open))
        walk.open = [
            msgspec.structs.replace(
                question,
                keys=self.of(question)[0].carry(each_has),
                urls=self.of(question)[1].carry(_URLS, newest=True),
            )
            for question in walk.open
        ]
        walk.patients_came = len(self.patients)
        if self._landed is None:
            walk.patients = tuple(self.patients[:_NAMES])
            walk.wanted = self._references.wanted[:_NAMES]
        return walk.cursor()

    def _read(self, walk: Walk, landed: Callable[[], Iterable[Page]]) -> None:
        for page in landed():
            is_list = page.type == "Patient" and page.what.startswith("Patient, page ")
            is_record = page.what.startswith("Patient $everything")
            for entry in page.entries:
                head = head_of(entry.raw) if not entry.problem else None
                if head is None:
                    continue
                self._references.arrived(head.resourceType, head.id)
                self._references.note(entry.raw)
                if is_record:
                    self.recorded.add(fingerprint(f"{head.resourceType}/{head.id}".encode() if head.id else entry.raw))
                if is_list and head.resourceType == "Patient" and head.id:
                    self.meet(head.id)
        begins = {
            f"{name_of_part(walk.inquiries[each.inquiry], each.part, len(self.patients))}, page ": each
            for each in walk.open
            if each.came
        }
        for page in landed() if begins else ():
            begin = f"{page.what.rpartition(', page ')[0]}, page "
            question = begins.get(begin)
            if question is not None and page.number > question.after:
                seen = self.of(question)[0]
                for entry in page.entries:
                    head = head_of(entry.raw)
                    seen.add(fingerprint(f"{head.resourceType}/{head.id}".encode() if head and head.id else entry.raw))
