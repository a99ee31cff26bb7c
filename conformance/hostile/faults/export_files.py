"""Faults of the files of a bulk export: where they are, whether they can be resumed, what stands in their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, RedirectResponse, Response

from conformance.hostile import wire
from conformance.hostile.faults.kind import fault
from conformance.hostile.problem import Problem, operation_outcome

if TYPE_CHECKING:
    from conformance.hostile.bulk.subjects import FileCall, Lines

__all__: list[str] = []


def _is_output(lines: Lines) -> bool:
    return lines.file.part == "output" and bool(lines.rows)


@fault(
    "signed-file-url",
    "file",
    "307 to another server, at an address that is the key; it refuses our token",
    "cerner/fhir.cerner.com#899",
)
def signed_file_url(call: FileCall, struck: Any) -> Response:
    return RedirectResponse(call.ehr.files.url(call.job, call.file), 307)


@fault(
    "file-link-expired",
    "file",
    "403 to a file until the manifest is fetched once more",
    "18: fhir-data-pipes PR 1082; async-output-file-request: links may be refreshed",
)
def file_link_expired(call: FileCall, struck: Any) -> None:
    if call.job.served < 2:
        raise Problem(403, "expired", "The address of that file has expired.")


@fault("file-not-found", "file", "404 to a file", "17: hapi-fhir#4511")
def file_not_found(call: FileCall, struck: Any) -> None:
    raise Problem(404, "not-found", "There is no such file.")


@fault(
    "file-bad-gateway",
    "file",
    "502 with a proxy's page to a file",
    "14: smart-on-fhir/bulk-data-client#18: a 502 kills the run",
)
def file_bad_gateway(call: FileCall, struck: Any) -> Response:
    return HTMLResponse("<html><title>502</title><body>Bad Gateway</body></html>", 502)


@fault(
    "file-throttled",
    "file",
    "429 with Retry-After (value: seconds) to a file",
    "14: smart-on-fhir/bulk-data-client#18: 20,000 files, 429s",
    value="1",
)
def file_throttled(call: FileCall, struck: Any) -> None:
    raise Problem(429, "throttled", "Too many files at once.", {"Retry-After": struck.setting})


@fault(
    "no-ranges", "file", "a Range is ignored: the whole file, 200", "RFC 9110 section 14.2: a server may ignore Range"
)
def no_ranges(call: FileCall, struck: Any) -> None:
    call.takes_ranges = False


@fault(
    "file-changes",
    "lines",
    "the file is another each time it is asked for: other bytes, other ETag",
    "RFC 9110 section 13.1.5; microsoft/fhir-server#367: resumed exports",
    fits=_is_output,
)
def file_changes(lines: Lines, struck: Any) -> None:
    turn = (lines.file.fetched - 1) % len(lines.rows)
    lines.rows[:] = [*lines.rows[turn:], *lines.rows[:turn]]


@fault(
    "lines-with-blanks",
    "lines",
    "lines end in CR LF, and every other is blank",
    "ndjson-spec: blank lines may be there; E7",
)
def lines_with_blanks(lines: Lines, struck: Any) -> None:
    lines.end = b"\r\n\r\n"


@fault("line-cut", "lines", "the last line ends in the middle", "synthea#457: truncated lines", fits=_is_output)
def line_cut(lines: Lines, struck: Any) -> None:
    lines.rows[-1] = lines.rows[-1][: len(lines.rows[-1]) // 2]


@fault("line-missing", "lines", "the last line is not there; count stays", "LinuxForHealth/FHIR#2673", fits=_is_output)
def line_missing(lines: Lines, struck: Any) -> None:
    lines.rows.pop()


@fault(
    "line-twice",
    "lines",
    "the first line comes again at the end",
    "27: metriport#2569; microsoft/fhir-server#367",
    fits=_is_output,
)
def line_twice(lines: Lines, struck: Any) -> None:
    lines.rows.append(lines.rows[0])


@fault("line-without-end", "lines", "no line feed behind the last line", "ndjson-spec: it is a SHOULD", fits=_is_output)
def line_without_end(lines: Lines, struck: Any) -> None:
    lines.rows[:] = [b"\n".join(lines.rows)]
    lines.end = b""


@fault(
    "line-of-another-type",
    "lines",
    "a line of another type than the manifest says (a Basic)",
    "security_conformance.md E8",
    fits=_is_output,
)
def line_of_another_type(lines: Lines, struck: Any) -> None:
    lines.rows.insert(0, wire.encode({"resourceType": "Basic", "id": "stray", "code": {"text": "stray"}}))


@fault(
    "outcome-among-lines",
    "lines",
    "an OperationOutcome among the resources",
    "LinuxForHealth/FHIR#1161; fhir-bulk-data-docs#32",
    fits=_is_output,
)
def outcome_among_lines(lines: Lines, struck: Any) -> None:
    lines.rows.insert(0, wire.encode(operation_outcome("processing", "A resource could not be exported.")))


@fault(
    "line-that-is-huge",
    "lines",
    "the first line carries value megabytes inline",
    "17: hapi-fhir#8374",
    value="5",
    fits=_is_output,
)
def line_that_is_huge(lines: Lines, struck: Any) -> None:
    blanks = b" " * int(struck.number * 1_000_000)
    lines.rows[0] = lines.rows[0][:1] + blanks + lines.rows[0][1:]


@fault(
    "byte-order-mark-in-file",
    "lines",
    "the file begins with the byte order mark",
    "RFC 8259 section 8.1; hapi-fhir#266",
    fits=_is_output,
)
def byte_order_mark_in_file(lines: Lines, struck: Any) -> None:
    lines.rows[0] = b"\xef\xbb\xbf" + lines.rows[0]
