"""NDJSON made of the R4 patients beside the project: as many people as are asked for, each of them somebody else.

A copy of a patient has other ids, another name, birth date and other numbers; of what is clinical nothing changes but
the last digits of long decimals. So the shape of the work is that of the real files, and no two people are taken for
one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["PATIENTS", "write_patients", "write_small_patients"]

PATIENTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "patients" / "r4"

_UUID = re.compile(rb"[0-9a-f]{8}(?=-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")

_LONG = re.compile(rb"(\.[0-9]{6,}?)([0-9]{3})(?=[,}])")  # digits that no instrument gives


def _people(folder: Path) -> list[list[bytes]]:
    """Read the resources of each person, compact, as servers export them; references name type and id."""
    people = []
    for file in sorted(folder.glob("*.json")):
        bundle = json.loads(file.read_bytes())
        names = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]}
        text = json.dumps([e["resource"] for e in bundle["entry"]], separators=(",", ":"), ensure_ascii=False)
        for full_url, name in names.items():
            text = text.replace(full_url, name)
        lines = [json.dumps(each, separators=(",", ":"), ensure_ascii=False) for each in json.loads(text)]
        people.append([line.encode() for line in lines])
    return people


def _copies(person: list[bytes], copy: int) -> Iterator[bytes]:
    """Write a person as somebody else."""

    def other(found: re.Match[bytes]) -> bytes:
        return hashlib.blake2b(found[0] + copy.to_bytes(4, "big"), digest_size=4).hexdigest().encode()

    def digits(found: re.Match[bytes]) -> bytes:
        return found[1] + b"%03d" % ((int(found[2]) + 7 * copy) % 1000)

    letters = "".join(chr(ord("a") + int(digit)) for digit in str(copy))
    for line in person:
        made = _LONG.sub(digits, _UUID.sub(other, line))
        if made.startswith(b'{"resourceType":"Patient"'):
            patient = json.loads(made)
            for name in patient["name"]:
                name["family"] += letters
                name["given"] = [given + letters for given in name["given"]]
            for number in patient["identifier"]:
                number["value"] = f"{number['value']}{letters}"
            year, rest = patient["birthDate"].split("-", 1)
            patient["birthDate"] = f"{int(year) - copy % 30}-{rest}"
            made = json.dumps(patient, separators=(",", ":"), ensure_ascii=False).encode()
        yield made


def write_patients(
    to: Path, resources: int, types: frozenset[str] | None = None, folder: Path = PATIENTS, *, first: int = 0
) -> int:
    """Write at least so many resources of whole people, of some types (and their Patients) or of all; one file.

    `first` numbers the first copy of everybody: other numbers are other people.
    """
    people, count, copy = _people(folder), 0, first
    wanted = None if types is None else tuple(b'{"resourceType":"%s"' % each.encode() for each in (*types, "Patient"))
    with to.open("wb") as out:
        while count < resources:
            for person in people:
                for line in _copies(person, copy):
                    if wanted is None or line.startswith(wanted):
                        out.write(line + b"\n")
                        count += 1
                if count >= resources:
                    break
            copy += 1
    return count


def write_small_patients(to: Path, people: int, each: int = 20, folder: Path = PATIENTS) -> int:
    """Write many people of whom little is known: the Patient and so many resources of each; one file."""
    known, count = _people(folder), 0
    with to.open("wb") as out:
        for number in range(people):
            whole = known[number % len(known)]
            patient = next(line for line in whole if line.startswith(b'{"resourceType":"Patient"'))
            first = number // len(known) * each % max(1, len(whole) - each)
            rest = [line for line in whole[first : first + each] if line is not patient]
            for line in _copies([patient, *rest], number):
                out.write(line + b"\n")
                count += 1
    return count
