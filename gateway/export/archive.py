"""The archive that a person gets: a FHIR Bundle, what the sources sent, what we made of it, and a signed list of it."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import msgspec

from gateway import __version__
from gateway.export.bundle import entries
from gateway.export.gathering import Gathered
from gateway.export.proofs import proofs_of
from gateway.handles import handle
from gateway.home import Home, now
from gateway.lineage.grounds import facts_of
from gateway.lineage.kept import pulled_of
from gateway.store import StoredResource
from mappers.outbound import to_json
from mappers.outbound.times import instant
from security.audit import export_event
from security.errors import Misuse, StoreFull

__all__ = ["Written", "write_export"]

_README = """\
This is all that is held about one person (GDPR articles 15 and 20), as it was on {when}.

bundle.json         FHIR R4 Bundle: the person, each fact that is known, its Provenance, and what models simulated
                    (labelled as simulated; nobody measured it)
raw/SOURCE-*.ndjson what each source sent, byte for byte, one resource a line; line breaks in it are blanks here
history.ndjson      each version of the record: when it came, from where, what was understood and refused
runs.ndjson         all that models computed, with their inputs and assumptions (simulated)
states.ndjson       what models keep of the person between two readings (simulated)
deliveries.ndjson   what was proposed to an EHR or sent to it, and what it answered
identities.ndjson   who the sources say the person is, which patients of theirs that is, and what was decided of it
strays.ndjson       what names the person and stands in no twin, or waits to be read
exact.ndjson        the bytes of those of raw/ in which line breaks were replaced, in base64, by their SHA-256
pulls.ndjson        with which pulls it came, what these proved, and where the sources are
audit.ndjson        who had access, when and why: FHIR AuditEvents
proofs.ndjson       that those events which a result stands on are in the signed audit log (c2sp.org/tlog-proof)
manifest.txt        SHA-256, size and count of each file, signed by this installation (C2SP signed note, Ed25519)

twin lineage RESULT --in THIS-FILE follows a result back to all that it stands on, and checks what is here.
"""


@dataclass(frozen=True, slots=True)
class Written:
    """An archive that was written: how many lines or entries each part has, and the archive's own SHA-256."""

    id: str
    place: str
    sha256: str
    bytes: int
    parts: dict[str, int]


@dataclass
class _Archive:
    """A zip file whose members are hashed as they are written."""

    zip: zipfile.ZipFile
    told: list[tuple[str, str, int, int]] = field(default_factory=list)

    def add(self, name: str, pieces: Iterable[bytes], frame: int = 0) -> None:
        """Write a member, piece by piece; all of them count but those that are its `frame`."""
        member = zipfile.ZipInfo(name, now().timetuple()[:6])
        member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        digest, size, number = hashlib.sha256(), 0, 0
        with self.zip.open(member, "w", force_zip64=True) as out:
            for piece in pieces:
                out.write(piece)
                digest.update(piece)
                size += len(piece)
                number += 1
        self.told.append((name, digest.hexdigest(), size, number - frame))


def write_export(home: Home, gathered: Gathered, out: Path | BinaryIO) -> Written:
    """Write the archive into a new file, for its owner only, or to a stream. It is recorded before anything leaves.

    Raises `Misuse` where the file is there already, `StoreFull` where it cannot be written.
    """
    if isinstance(out, Path) and out.exists():
        raise Misuse(f"{out.name} is there already.", hint="Say another --out: nothing is written over.")
    identity = str(uuid4())
    beside = out.expanduser().absolute().parent if isinstance(out, Path) else home.settings.home
    try:
        handle, name = tempfile.mkstemp(dir=beside, prefix=".export.")
    except OSError as error:
        raise Misuse("There nothing can be written.", hint="Choose another --out.", detail=error) from error
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            parts = _write(home, gathered, file, identity)
            file.flush()
            os.fsync(file.fileno())
        with part.open("rb") as read:
            sha256 = hashlib.file_digest(read, "sha256").hexdigest()
        counts = {name.partition(".")[0].replace("/", "-"): number for name, number in parts.items()}
        access = replace(home.access(patient=gathered.twin), purpose="PATRQT")
        home.store.append_audit([export_event(access, archive=sha256, **_names(counts))])
        size = part.stat().st_size
        if isinstance(out, Path):
            os.link(part, out)  # it fails where something is there by now
        else:
            out.write(part.read_bytes())
            out.flush()
    except FileExistsError as error:
        raise Misuse("The file is there already.", hint="Say another --out: nothing is written over.") from error
    except OSError as error:
        raise StoreFull("The export cannot be written.", hint="Make room or rights there.", detail=error) from error
    finally:
        part.unlink(missing_ok=True)
    return Written(identity, str(out) if isinstance(out, Path) else "-", sha256, size, parts)


def _names(counts: dict[str, int]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for name, number in counts.items():
        total["raw" if name.startswith("raw-") else name] += number
    return dict(total)


def _write(home: Home, gathered: Gathered, file: BinaryIO, identity: str) -> dict[str, int]:
    when = instant(now())
    with zipfile.ZipFile(file, "w") as opened:
        archive = _Archive(opened)
        archive.add("README.txt", [_README.format(when=when).encode()])
        archive.add("bundle.json", _bundle(home, gathered, when), frame=2)
        for name, lines in sorted(_raw(gathered).items()):
            archive.add(f"raw/{name}", lines)
        for name, made in (
            ("history", _history(gathered)),
            ("runs", _runs(home, gathered)),
            ("states", _states(gathered)),
            ("deliveries", _deliveries(gathered)),
            ("identities", _identities(gathered)),
            ("strays", _strays(gathered)),
            ("exact", _exact(gathered)),
            ("pulls", _pulls(home, gathered)),
            ("audit", ({"number": entry.sequence, "event": entry.event} for entry in gathered.audit)),
            ("proofs", proofs_of(home, gathered)),
        ):
            archive.add(f"{name}.ndjson", map(_line, made))
        told = archive.told
        said: list[tuple[str, str]] = [
            ("export", identity),
            ("twin", gathered.twin),
            ("made", when),
            ("by", f"fhirtwin {__version__}"),
            *(("file", f"{digest} {size} {count} {name}") for name, digest, size, count in told),
        ]
        note = home.store.statement("fhirtwin export 1", said).encode()
        archive.add("manifest.txt", [note])
    return {name: count for name, _, _, count in told if name not in ("README.txt", "manifest.txt")}


def _bundle(home: Home, gathered: Gathered, when: str) -> Iterator[bytes]:
    """Write the Bundle entry by entry: one of a hundred thousand facts is never in memory as a whole tree."""
    yield b'{"resourceType":"Bundle","type":"collection","timestamp":"%b","entry":[\n' % when.encode()
    for number, (url, resource) in enumerate(entries(home, gathered)):
        yield (b",\n" if number else b"") + to_json({"fullUrl": url, "resource": resource})
    yield b"\n]}\n"


def _raw(gathered: Gathered) -> dict[str, list[bytes]]:
    """Gather what came, each version once, by source and FHIR version."""
    found: dict[str, dict[bytes, None]] = defaultdict(dict)
    for versions in gathered.versions.values():
        for version in versions:
            for resource in version.resources:
                if not resource.ended:
                    found[f"{resource.source}-{resource.fhir_version or 'unknown'}.ndjson"][_raw_line(resource)] = None
    return {name: list(lines) for name, lines in found.items()}


def _raw_line(resource: StoredResource) -> bytes:
    """Write the bytes in one line. A line break in JSON stands between its parts only, where a blank says the same."""
    try:
        msgspec.json.decode(resource.raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _line({"unreadable": base64.b64encode(resource.raw).decode()})
    return resource.raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def _history(gathered: Gathered) -> Iterator[dict[str, Any]]:
    for twin, versions in gathered.versions.items():
        for version in versions:
            for resource in version.resources:
                yield {
                    "twin": twin,
                    "version": version.version,
                    "came": version.created,
                    "source": resource.source,
                    "resource": resource.key,
                    "full_url": resource.full_url,
                    "place": resource.place,
                    "fhir_version": resource.fhir_version,
                    "sha256": resource.sha256 if not resource.ended else None,
                    "retracted": resource.retracted or None,
                    "outcomes": resource.outcomes,
                }


def _exact(gathered: Gathered) -> Iterator[dict[str, Any]]:
    """Write the bytes whose lines are not as they came: by their SHA-256, for who wants to compare them."""
    told: set[str] = set()
    for versions in gathered.versions.values():
        for resource in (one for version in versions for one in version.resources if not one.ended):
            if (b"\n" in resource.raw or b"\r" in resource.raw) and (sha256 := resource.sha256) not in told:
                told.add(sha256)
                yield {"sha256": sha256, "base64": base64.b64encode(resource.raw).decode()}


def _pulls(home: Home, gathered: Gathered) -> Iterator[dict[str, Any]]:
    sources = {one.source for versions in gathered.versions.values() for each in versions for one in each.resources}
    for source in sorted(sources | {each.source for each in gathered.deliveries}):
        known = home.settings.sources.get(source)
        yield {"what": "source", "source": source, "base": known.base_url if known else ""}
    for pull in gathered.pulls:
        yield {"what": "pull", **msgspec.to_builtins(pulled_of(pull))}
    for entry in gathered.certified:
        yield {"what": "recorded", "number": entry.sequence, "event": entry.event}


def _runs(home: Home, gathered: Gathered) -> Iterator[dict[str, Any]]:
    for run in gathered.runs:
        origins = dict.fromkeys(origin for _, fact in facts_of(run) for origin in fact.origins)
        yield {
            "simulated": True,
            "run": run.id,
            "twin": run.twin,
            "created": run.created,
            "model": run.model,
            "twin_version": run.twin_version,
            "content": _content(run.content),
            "handles": [
                {"source": o.source, "resource": o.resource, "path": o.path, "handle": handle(home, run.twin, o)}
                for o in origins
            ],
        }


def _states(gathered: Gathered) -> Iterator[dict[str, Any]]:
    for twin, model, kind, state in gathered.states:
        yield {
            "simulated": True,
            "twin": twin,
            "model": model,
            "kind": kind,
            "revision": state.revision,
            "updated": state.updated,
            "twin_version": state.twin_version,
            "content": _content(state.content),
        }


def _deliveries(gathered: Gathered) -> Iterator[dict[str, Any]]:
    for each in gathered.deliveries:
        yield {
            "simulated": True,
            "delivery": each.id,
            "twin": each.twin,
            "source": each.source,
            "run": each.run,
            "created": each.created,
            "updated": each.updated,
            "state": each.state,
            "attempts": each.attempts,
            "last_status": each.last_status,
            "model": each.model,
            "kind": each.kind,
            "position": each.position,
            "replaces": each.replaces,
            "reason": each.reason,
            "not_before": each.not_before,
            "left": each.left,
            "unsure": each.unsure,
            "decision": _content(each.decision) if each.decision else None,
            "landed": each.landed,
            "bundle": _content(each.bundle),
            "content": _content(each.content) if each.content else None,
            "reply": None if each.reply is None else _content(each.reply),
        }


def _identities(gathered: Gathered) -> Iterator[dict[str, Any]]:
    for twin, told in gathered.told.items():
        for (source, patient), person in told.items():
            yield {"what": "told", "twin": twin, "source": source, "patient": patient, "person": person}
    for twin, linked in gathered.linked.items():
        for each in linked:
            yield {"what": "link", "twin": twin, "source": each.source, "patient": each.patient}
    for pair in gathered.identities:
        yield {"what": "decision", "pair": pair}
    for guard in gathered.guards:
        yield {"what": guard.kind, "twin": guard.twin, "since": guard.since, "why": guard.why}


def _strays(gathered: Gathered) -> Iterator[dict[str, Any]]:
    for resource in gathered.strays:
        yield {
            "what": "of-no-twin",
            "source": resource.source,
            "resource": resource.key,
            "fhir_version": resource.fhir_version,
            "outcomes": resource.outcomes,
            "raw": _content(resource.raw),
        }
    for source, entry in gathered.waiting:
        yield {"what": "waiting", "source": source, "fhir_version": entry.version, "raw": _content(entry.raw)}


def _content(kept: bytes) -> Any:
    """Put JSON into a line as it stands, digit for digit; anything else as base64."""
    try:
        msgspec.json.decode(kept)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"base64": base64.b64encode(kept).decode()}
    return msgspec.Raw(kept.replace(b"\r", b" ").replace(b"\n", b" "))


def _line(value: Any) -> bytes:
    return msgspec.json.encode(value, enc_hook=str) + b"\n"
