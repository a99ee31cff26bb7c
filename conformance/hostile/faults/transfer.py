"""Faults of the bytes of an answer: cut, slow, swollen, mislabelled, never ending."""

from __future__ import annotations

import gzip
from datetime import timedelta
from typing import Any

from conformance.hostile import mishap, wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.faults.subjects import Answer

__all__: list[str] = []


@fault("cut-body", "body", "well framed, but only half the JSON", "bad input, requirement D6")
def cut_body(answer: Answer, struck: Any) -> None:
    answer.body = answer.body[: len(answer.body) // 2]


@fault("not-utf-8", "body", "a byte that is no UTF-8 inside the JSON", "requirement D6")
def not_utf_8(answer: Answer, struck: Any) -> None:
    answer.body = answer.body.replace(b'"', b'"\xff', 1)


@fault("byte-order-mark", "body", "begins with the byte order mark EF BB BF", "RFC 8259 section 8.1; hapi-fhir#266")
def byte_order_mark(answer: Answer, struck: Any) -> None:
    answer.body = b"\xef\xbb\xbf" + answer.body


@fault("utf-16", "body", "UTF-16 with a byte order mark, said in Content-Type", "RFC 8259 section 8.1: not allowed")
def utf_16(answer: Answer, struck: Any) -> None:
    answer.body = answer.body.decode("utf-8").encode("utf-16")
    answer.headers["content-type"] = "application/fhir+json;charset=UTF-16"


@fault(
    "wrong-content-type",
    "body",
    "the media type is another (value); the JSON is right",
    "smart-on-fhir/client-js#52, HealthIntersections/FHIRsmith#87",
    value="text/plain",
)
def wrong_content_type(answer: Answer, struck: Any) -> None:
    answer.headers["content-type"] = struck.setting


@fault("no-content-type", "body", "no Content-Type", "RFC 9110 section 8.3: it may be left out")
def no_content_type(answer: Answer, struck: Any) -> None:
    answer.headers.pop("content-type", None)


@fault(
    "unlabelled-gzip",
    "body",
    "gzip, and no Content-Encoding says so",
    "FirelyTeam/firely-net-sdk#1876, mnutt/davros#94",
)
def unlabelled_gzip(answer: Answer, struck: Any) -> None:
    answer.body = gzip.compress(answer.body)


@fault("labelled-gzip", "body", "Content-Encoding: gzip, and it is not", "qualixar/superlocalmemory PR 79: a proxy")
def labelled_gzip(answer: Answer, struck: Any) -> None:
    answer.headers["content-encoding"] = "gzip"


@fault("cut-gzip", "body", "gzip that ends in the middle, well framed", "D5: decompression has limits and an end")
def cut_gzip(answer: Answer, struck: Any) -> None:
    squeezed = gzip.compress(answer.body)
    answer.body = squeezed[: len(squeezed) // 2]
    answer.headers["content-encoding"] = "gzip"


@fault("huge-body", "body", "gzip that unfolds to value megabytes", "D5: httpx gives one 67 MB chunk", value="64")
def huge_body(answer: Answer, struck: Any) -> None:
    answer.body = mishap.huge_body(answer.body, int(struck.number))
    answer.headers["content-encoding"] = "gzip"


@fault(
    "gzip-in-gzip",
    "body",
    "gzip in gzip, said so: a few hundred bytes that unfold to value megabytes",
    "D5; hapijs/hapi#687, yhirose/cpp-httplib#993: proxies encode twice",
    value="64",
)
def gzip_in_gzip(answer: Answer, struck: Any) -> None:
    answer.body = gzip.compress(mishap.huge_body(answer.body, int(struck.number)))
    answer.headers["content-encoding"] = "gzip, gzip"


@fault(
    "short-content-length",
    "body",
    "Content-Length says value bytes fewer than are sent",
    "flutter/cocoon PR 320: a proxy that unfolds and keeps the length",
    value="20",
)
def short_content_length(answer: Answer, struck: Any) -> None:
    answer.sends, answer.claims = mishap.Raw, len(answer.body) - int(struck.number)


@fault(
    "long-content-length",
    "body",
    "Content-Length says value bytes more than are sent; then the connection is closed",
    "D9; flutter/cocoon PR 320",
    value="20",
)
def long_content_length(answer: Answer, struck: Any) -> None:
    answer.sends, answer.claims = mishap.Raw, len(answer.body) + int(struck.number)


@fault(
    "unframed-cut",
    "body",
    "no Content-Length: the end of the connection is the end, and it comes half-way",
    "D9: RFC 9112 section 8: cannot be told from a whole one",
)
def unframed_cut(answer: Answer, struck: Any) -> None:
    answer.sends, answer.body = mishap.Unframed, answer.body[: len(answer.body) // 2]


@fault("cut-connection", "body", "hangs up after half the body", "D9: toxiproxy limit_data")
def cut_connection(answer: Answer, struck: Any) -> None:
    answer.sends = mishap.CutConnection


@fault(
    "half-closed",
    "body",
    "half the body, then FIN; the other direction stays open",
    "D9: toxiproxy; half-closed sockets",
)
def half_closed(answer: Answer, struck: Any) -> None:
    answer.sends = mishap.HalfClosed


@fault("silent-stall", "body", "half the body, then nothing more; the connection stays open", "D9: toxiproxy timeout")
def silent_stall(answer: Answer, struck: Any) -> None:
    answer.sends = mishap.Stalled


@fault(
    "never-answers", "body", "takes the request and says nothing; the connection stays open", "D9: toxiproxy timeout"
)
def never_answers(answer: Answer, struck: Any) -> None:
    answer.sends = mishap.Silent


@fault("slow-drip", "body", "ten pieces (value: seconds before each)", "D9: toxiproxy slicer", value="0.05")
def slow_drip(answer: Answer, struck: Any) -> None:
    answer.sends, answer.pause = mishap.SlowDrip, struck.number


@fault("slow-loris", "body", "byte for byte (value: seconds before each)", "D9: toxiproxy bandwidth", value="1")
def slow_loris(answer: Answer, struck: Any) -> None:
    answer.sends, answer.pause = mishap.SlowLoris, struck.number


@fault(
    "skewed-clock",
    "body",
    "the header Date is value seconds off",
    "13: google/android-fhir#1148: a watermark from the wrong clock",
    value="-3600",
)
def skewed_clock(answer: Answer, struck: Any) -> None:
    answer.headers["date"] = wire.http_date(answer.ehr.clock() + timedelta(seconds=struck.number))


@fault("no-date", "body", "no header Date", "RFC 9110 section 6.6.1: a server without a clock sends none")
def no_date(answer: Answer, struck: Any) -> None:
    answer.headers["date"] = ""


@fault(
    "wrong-etag",
    "body",
    "ETag is that of another version",
    "37: microsoft/fhir-server#4647",
    fits=lambda answer: "etag" in answer.headers,
)
def wrong_etag(answer: Answer, struck: Any) -> None:
    answer.headers["etag"] = 'W/"99"'
