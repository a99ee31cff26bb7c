"""A second server, of files alone, whose addresses are the key: it takes no token, and notes who sends one.

As object stores do it: a signed URL and an Authorization header together are refused (S3 answers 400 "Only one auth
mechanism allowed"). Oracle Health redirects to such a one (cerner/fhir.cerner.com#899).
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from conformance.hostile import wire
from conformance.hostile.bulk.exports import File, Job
from conformance.hostile.bulk.files import send
from conformance.hostile.seen import Seen

if TYPE_CHECKING:
    from conformance.hostile.ehr import Ehr

__all__ = ["FileHost"]


class FileHost:
    """The file server of one EHR, at an origin of its own; `seen` is what was asked of it."""

    def __init__(self, ehr: Ehr) -> None:
        self._ehr = ehr
        self.origin = f"http://files-{ehr.settings.name}.test"
        self.seen: list[Seen] = []
        self.app = Starlette(routes=[Route("/{job}/{name}", self._file, methods=["GET"])])

    def url(self, job: Job, file: File) -> str:
        """Return the signed URL of a file."""
        return f"{self.origin}/{job.id}/{file.name}?signature={job.secret}"

    async def _file(self, request: Request) -> Response:
        response = self._answer(request)
        response.headers.setdefault("Date", wire.http_date(self._ehr.clock()))
        had = "authorization" in request.headers
        self.seen.append(Seen(request.method, request.url.path, request.url.query, had, response.status_code))
        return response

    def _answer(self, request: Request) -> Response:
        if "authorization" in request.headers:
            return _error(400, "InvalidArgument", "Only one auth mechanism allowed")
        job = self._ehr.exports.named(request.path_params["job"])
        signature = request.query_params.get("signature", "")
        if job is None or job.until <= self._ehr.clock() or not hmac.compare_digest(signature, job.secret):
            return _error(403, "AccessDenied", "Request has expired")
        for file in job.files:
            if file.name == request.path_params["name"]:
                return send(self._ehr, job, file, request)
        return _error(404, "NoSuchKey", "The specified key does not exist.")


def _error(status: int, code: str, text: str) -> Response:
    return Response(
        f"<Error><Code>{code}</Code><Message>{text}</Message></Error>", status, media_type="application/xml"
    )
