"""Attempts that end together are written together, and whoever lost a lease is told so."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway.deliver.journal import Journal
from gateway.home import now
from gateway.store import Attempt
from tests.gateway.deliver.delivering import ward


async def test_of_attempts_that_end_together_only_those_are_settled_that_are_still_ours(tmp_path):
    with ward(tmp_path, number=2, of=2) as it:
        store, moment = it.home.store, now()
        mine, lost = store.claim("one", moment, moment + timedelta(minutes=1), limit=2)
        later = moment + timedelta(minutes=2)
        store.extend("one", [mine.id], later + timedelta(minutes=5))
        [taken] = store.claim("two", later, later + timedelta(minutes=1), limit=2)
        assert taken.id == lost.id
        journal, sent = Journal(store), Attempt("sent", status=200)
        ended = await asyncio.gather(*(journal.settle("one", each.id, sent, ()) for each in (mine, lost)))
        assert ended == [True, False]
        assert {each.id: each.state for each in store.outbox()} == {mine.id: "sent", lost.id: "sending"}
