"""Each fault of the bytes of an answer, alone, on a real socket."""

from __future__ import annotations

import gzip
import json
import socket as sockets
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest

from tests.conformance.desk import START, Case, check, outcome

KIND = "content-type"


def total(desk):
    """Read the total, or say what goes wrong with the JSON."""
    return outcome(lambda: desk.get("Observation").json()["total"])


def text(desk):
    return outcome(lambda: desk.get("Observation").content.decode("utf-8")[0])


def header(name):
    return lambda desk: desk.get("Observation").headers.get(name)


def raw(desk):
    """Read a whole connection byte by byte as it comes, and say how it ended and how much came."""
    with desk.http.stream("GET", f"{desk.base}/Observation") as answer:
        return b"".join(answer.iter_raw())


def starts(count):
    return lambda desk: raw(desk)[:count]


def unfolded(times):
    """Unfold a body and say whether something small has become large."""

    def probe(desk):
        small = large = raw(desk)
        for _ in range(times if small[:2] == b"\x1f\x8b" else 0):
            large = gzip.decompress(large)
        return len(small) < 100_000 and len(large) > 2_000_000

    return probe


def in_time(desk):
    """Wait a little for the whole answer."""
    return outcome(lambda: desk.get("Observation", timeout=0.4).json()["total"])


def spoken(desk):
    """Talk on a socket of our own: how many bytes of the body came, how it ended, whether we could still speak."""
    where = httpx.URL(desk.base)
    with sockets.create_connection((where.host, where.port), timeout=2) as line:
        line.sendall(b"GET /fhir/Observation HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        came = b""
        ended = "closed"
        try:
            while piece := line.recv(65536):
                came += piece
        except ConnectionResetError:
            ended = "reset"
        except TimeoutError:
            ended = "silence"
        open_ = True
        for _ in range(3):  # the first write to a closed socket still succeeds
            try:
                line.sendall(b"x")
            except OSError:
                open_ = False
            time.sleep(0.02)
    head, _, body = came.partition(b"\r\n\r\n")
    claimed = next(
        (int(each.split(b":")[1]) for each in head.lower().split(b"\r\n") if each.startswith(b"content-length")), None
    )
    return [None if claimed is None else (len(body) > claimed) - (len(body) < claimed), ended, open_]


def how_it_ends(desk):
    return spoken(desk)[:2]


def chunks(desk):
    with desk.http.stream("GET", f"{desk.base}/Organization") as answer:
        return len(list(answer.iter_raw())) > 5


def date(desk):
    told = desk.get("Observation").headers.get("date")
    return None if told is None else (parsedate_to_datetime(told) - START).total_seconds()


CASES = {
    "cut-body": Case(total, 5, "JSONDecodeError"),
    "not-utf-8": Case(text, "{", "UnicodeDecodeError"),
    "byte-order-mark": Case(starts(3), b'{"r', b"\xef\xbb\xbf"),
    "utf-16": Case(starts(2), b'{"', b"\xff\xfe"),
    "wrong-content-type": Case(header(KIND), "application/fhir+json;charset=UTF-8", "text/plain"),
    "no-content-type": Case(header(KIND), "application/fhir+json;charset=UTF-8", None),
    "unlabelled-gzip": Case(
        lambda d: [raw(d)[:2] == b"\x1f\x8b", header("content-encoding")(d)], [False, None], [True, None]
    ),
    "labelled-gzip": Case(total, 5, "DecodingError"),
    "cut-gzip": Case(total, 5, "JSONDecodeError"),
    "huge-body": Case(unfolded(1), False, True, {"value": "3"}),
    "gzip-in-gzip": Case(unfolded(2), False, True, {"value": "3"}),
    "short-content-length": Case(how_it_ends, [0, "closed"], [1, "closed"]),
    "long-content-length": Case(how_it_ends, [0, "closed"], [-1, "closed"]),
    "unframed-cut": Case(
        lambda d: [header("content-length")(d) is None, total(d)], [False, 5], [True, "JSONDecodeError"]
    ),
    "cut-connection": Case(spoken, [0, "closed", False], [-1, "closed", False]),
    "half-closed": Case(spoken, [0, "closed", False], [-1, "closed", True]),
    "silent-stall": Case(in_time, 5, "ReadTimeout"),
    "never-answers": Case(in_time, 5, "ReadTimeout"),
    "slow-drip": Case(chunks, False, True, {"value": "0.001"}),
    "slow-loris": Case(chunks, False, True, {"value": "0.0001"}),
    "skewed-clock": Case(date, 0.0, -3600.0),
    "no-date": Case(date, 0.0, None),
    "wrong-etag": Case(lambda d: d.get("Observation/o1").headers["etag"], 'W/"1"', 'W/"99"'),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_does_what_it_says_and_nothing_when_it_is_off(socket, name):
    check(socket, name, CASES[name])


def test_a_body_that_unfolds_holds_the_bundle_behind_the_blanks(socket):
    from conformance.hostile import Misbehaviour
    from tests.conformance.desk import desk

    with desk(socket, Misbehaviour("huge-body", value="2")) as bent:
        assert json.loads(gzip.decompress(raw(bent)))["total"] == 5
