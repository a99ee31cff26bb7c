"""The state of a walk through a server's pages: what a cursor holds, so that a killed pull goes on where it was.

A walk has several inquiries, each a line of the certificate. An inquiry is one question or many (a slice or a patient
each), of which some are open at the same time.
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from gateway.pull.page import Asked, Sign, numbered

__all__ = ["Inquiry", "Parameters", "Question", "Walk"]

Parameters = tuple[tuple[str, str], ...]


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """One question that is open: which part of which inquiry, and how far we are.

    Parameters
    ----------
    next
        The URL of the next page; "" before the first.
    said, came
        The most that the server said there is, and how many different resources came: servers repeat some when pages
        shift under them (medplum#4608).
    repeated, nameless
        How many came again, and how many came without an id.
    unfilled
        Empty pages in a row.
    again
        How often it was started over.
    size
        Rows that are asked for on a page; 0: the server's own number.
    by_post, links_by_post
        Whether the search is a POST, and whether its next links are: some servers refuse them as GET.
    began
        The server's clock when it was first asked; "" where it has none.
    newest
        The newest lastUpdated that came and can be believed.
    shifted
        Whether the number of rows changed while we walked.
    missing
        What is there and was not listed.
    after
        The number of the last page that was landed before it began.
    waited
        How often it was put off because the server wants a long pause.
    keys, urls
        What was seen, as `Seen` carries it, where a cursor carries it.
    exact
        Whether all that came is known; else repeats may have been counted, and a count proves nothing.
    """

    inquiry: int
    part: int
    next: str = ""
    said: int | None = None
    came: int = 0
    repeated: int = 0
    nameless: int = 0
    pages: int = 0
    unfilled: int = 0
    again: int = 0
    size: int = 0
    by_post: bool = False
    links_by_post: bool = False
    stopped: str = ""
    began: str = ""
    newest: str = ""
    self_link: str = ""
    shifted: bool = False
    signs: tuple[Sign, ...] = ()
    missing: tuple[str, ...] = ()
    after: int = 0
    waited: int = 0
    keys: str = ""
    urls: str = ""
    exact: bool = True

    def start_over(self, *, size: int | None = None) -> Question:
        """Forget all but which question it is, how it is asked, and that this was done."""
        return Question(
            self.inquiry,
            self.part,
            again=self.again + 1,
            size=self.size if size is None else size,
            by_post=self.by_post,
            links_by_post=self.links_by_post,
            after=self.after,
            waited=self.waited,
        )

    def signed(self, *signs: Sign) -> Question:
        """Add signs, each once."""
        return msgspec.structs.replace(self, signs=tuple(dict.fromkeys((*self.signs, *signs))))


class Inquiry(msgspec.Struct, omit_defaults=True):
    """One line of a certificate: a type that is asked for, by one question or by several.

    Parameters
    ----------
    way
        "list": one search of the type. "slices": a search each of `slices`. "patients": a search each patient, and
        each slice where there are slices. "everything": `$everything` of each patient. "named": by `_id`, `names`.
    filter, since
        The search parameter by which only changes are asked for, and the instant from which on; "" for all.
    asks_all
        Whether all is asked for after all, because the server does not filter.
    about
        The search parameter that names a patient.
    opened, ended
        How many of its questions were opened, and how many have ended.
    size, by_post
        What its questions have taught us about asking the next one.
    said
        `None` where one of its questions was not told a number.
    refused
        Whether the server refuses the plain search, so that it may have to be asked in another way.
    tried
        Whether other ways were tried.
    newest, began
        Of all its questions: the newest change that came, and when the first was asked.
    by_type, is_exact
        Of `$everything`: how many came of each type, and whether each was counted once.
    of_records
        Whether it says what `$everything` of all patients brought of a type.
    """

    type: str
    way: Literal["list", "slices", "patients", "everything", "named"] = "list"
    filter: str = ""
    since: str = ""
    asks_all: bool = False
    slices: tuple[Parameters, ...] = ()
    about: str = "patient"
    names: tuple[str, ...] = ()
    opened: int = 0
    ended: int = 0
    size: int = 0
    by_post: bool = False
    said: int | None = 0
    came: int = 0
    pages: int = 0
    stopped: str = ""
    signs: tuple[Sign, ...] = ()
    missing: tuple[str, ...] = ()
    self_link: str = ""
    refused: bool = False
    tried: bool = False
    began: str = ""
    newest: str = ""
    by_type: dict[str, int] = {}
    is_exact: bool = True
    of_records: bool = False

    @property
    def what(self) -> str:
        """Name the question in the certificate."""
        if self.way == "named":
            return f"{self.type}, filled in"
        if self.way == "everything":
            return f"{self.type} $everything"
        return f"{self.type} {self.filter}=ge{self.since}" if self.filter else self.type

    @property
    def is_plain(self) -> bool:
        """Say whether it is the plain list of a type, or of what changed in it."""
        return self.way in ("list", "slices", "patients")

    @property
    def is_by_patient(self) -> bool:
        """Say whether it brings a patient's past with the patient."""
        return self.way in ("patients", "everything") or self.of_records

    @property
    def mark(self) -> str:
        """Name its watermark: what another kind of question left out is older, and would never be asked for."""
        limits = ["patients"] if self.is_by_patient else []
        if "in-slices" in self.signs:
            limits.append(hashlib.blake2b(repr(self.slices).encode(), digest_size=6).hexdigest())
        if self.filter not in ("", "_lastUpdated"):
            limits.append(self.filter)
        return "?".join([self.type, *limits])

    def asked(self, *, stopped: str = "") -> Asked:
        """Say what became of it."""
        return Asked(
            self.what,
            None if stopped or self.pages == 0 else self.said,
            self.came,
            self.pages,
            stopped or self.stopped,
            self.type if self.is_plain else "",
            self.since if self.filter else "",
            self.self_link,
            self.signs,
            self.missing,
        )

    def end(self, question: Question) -> None:
        """Take up what became of one of its questions; of many, a number that is too small stays one."""
        self.ended += 1
        self.came += question.came
        self.pages += question.pages
        if question.said is None or self.said is None:
            self.said = None
        else:
            self.said += max(question.said, question.came) if self.way != "list" else question.said
        self.stopped = self.stopped or question.stopped
        self.signs = tuple(dict.fromkeys((*self.signs, *question.signs)))
        self.missing += question.missing
        self.self_link = self.self_link or question.self_link
        self.size, self.by_post = question.size, question.by_post
        self.newest = max(self.newest, question.newest)
        self.began = min(filter(None, (self.began, question.began)), default="")


class Walk(msgspec.Struct, omit_defaults=True):
    """A walk over several inquiries: those that there are, the questions that are open, and what is to be remarked.

    Parameters
    ----------
    plan
        What was to be asked when it began: a cursor of another plan is not gone on with.
    number
        The number of the last page.
    patients, wanted
        The patients to be asked for one by one, and what others refer to and did not come, as far as a cursor carries
        them. `patients_came` says how many there are.
    rounds
        How often was looked for what is to be filled in.
    control
        What the server does with a search parameter that none has.
    """

    plan: str
    inquiries: list[Inquiry] = []
    open: list[Question] = []
    number: int = 0
    patients: tuple[str, ...] = ()
    patients_came: int = 0
    wanted: tuple[str, ...] = ()
    rounds: int = 0
    remarks: list[str] = []
    control: str = ""

    @classmethod
    def resume(cls, cursor: str | None, plan: str) -> Walk | None:
        """Read a cursor; `None` where there is none that can be read.

        Of another plan, or another way to pull, only the number of the last page is gone on with: pages that were
        landed stay.
        """
        if cursor is None:
            return None
        try:
            found = msgspec.json.decode(cursor, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError):
            number = numbered(cursor)
            return cls(plan, number=number) if number else None
        return found if found.plan == plan else cls(plan, number=found.number)

    def cursor(self) -> str:
        """Write the state as text. It is patient data: a next link may name ids."""
        return msgspec.json.encode(self).decode()

    def remark(self, text: str) -> None:
        """Note something for the certificate, once."""
        if text not in self.remarks:
            self.remarks.append(text)
