"""The files of an export over HTTP: NDJSON, compressed where that is asked for, from any byte on.

Sources: Bulk Data Access IG 2.0.0 export.html#output-file-request; RFC 9110 sections 13.1.5 (If-Range), 14 (Range) and
15.5.17 (416). A part of a file is a part of its uncompressed bytes, so a range is never compressed.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from conformance.hostile import wire
from conformance.hostile.bulk.exports import File, Job
from conformance.hostile.bulk.subjects import Lines

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["content", "send"]

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_GZIP_LEVEL = 1  # the server of a test has better things to do


def content(ehr: Ehr, job: Job, file: File) -> bytes:
    """Return the bytes of a file, bent by the faults of its lines."""
    lines = Lines(ehr, job, file, list(file.rows))
    ehr.misbehaviours.bend("lines", "Export", lines)
    return b"".join(row + lines.end for row in lines.rows)


def send(ehr: Ehr, job: Job, file: File, request: Request, *, takes_ranges: bool = True) -> Response:
    """Answer a request for a file, or for a part of it."""
    file.fetched += 1
    body = content(ehr, job, file)
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {
        "Content-Type": "application/fhir+ndjson",
        "ETag": tag,
        "Last-Modified": wire.http_date(job.when),
        **({"Accept-Ranges": "bytes"} if takes_ranges else {}),
    }
    asked = _RANGE.fullmatch(request.headers.get("range", "")) if takes_ranges else None
    if asked and request.headers.get("if-range", tag) in (tag, headers["Last-Modified"]):
        start, last = int(asked[1]), int(asked[2]) if asked[2] else len(body) - 1
        if start >= len(body) or last < start:
            return Response(b"", 416, {**headers, "Content-Range": f"bytes */{len(body)}"})
        part = body[start : last + 1]
        told = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return Response(part, 206, {**headers, "Content-Range": told})
    if "gzip" in request.headers.get("accept-encoding", "") and "range" not in request.headers:
        squeezed = gzip.compress(body, _GZIP_LEVEL, mtime=0)
        headers |= {"Content-Encoding": "gzip", "ETag": f'{tag[:-1]}-gzip"', "Vary": "Accept-Encoding"}
        return Response(squeezed, 200, headers)
    return Response(body, 200, headers)
