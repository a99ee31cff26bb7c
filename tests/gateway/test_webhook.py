"""Warnings by webhook: signed so that a stranger's library believes them, and to nobody but the receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.deliver.webhook import Webhook
from security.errors import BadSettings, Refused, Unreachable

SECRET = bytes(range(32))


@pytest.fixture
def post(receiver) -> Callable[..., None]:
    def post_(secret: bytes = SECRET, body: bytes = b'{"id":"w1"}') -> None:
        async def go() -> None:
            async with Webhook(receiver.url, secret) as webhook:
                await webhook.post("w1", datetime.now(UTC), body)

        asyncio.run(go())

    return post_


def test_the_reference_library_believes_our_signature(receiver, post):
    post()
    assert receiver.taken == [("w1", b'{"id":"w1"}')]


def test_another_secret_is_not_believed(receiver, post):
    with pytest.raises(Refused):
        post(secret=bytes(32))
    assert receiver.taken == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_receiver_in_trouble_is_tried_again(receiver, post, status):
    receiver.answers = [status]
    with pytest.raises(Unreachable):
        post()
    post()
    assert len(receiver.taken) == 1


def test_a_redirect_is_not_followed(receiver, post):
    receiver.answers = [307]
    with pytest.raises(Refused):
        post()
    assert receiver.elsewhere == 0


def test_nobody_there_is_unreachable(receiver, post):
    receiver.url = "http://127.0.0.1:9/warn"
    with pytest.raises(Unreachable):
        post()


@pytest.mark.parametrize(("url", "secret"), [("http://example.org/x", SECRET), ("https://example.org/x", b"short")])
def test_an_unprotected_address_and_a_short_secret_are_refused(url, secret):
    with pytest.raises(BadSettings):
        Webhook(url, secret)
