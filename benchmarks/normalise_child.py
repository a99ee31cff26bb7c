"""One piece of work in a process of its own, for `normalise.py`: ours, a peer, or what reading alone costs.

    python benchmarks/normalise_child.py ours|floor|models|msgspec|duckdb|polars|spark FILE

Prints one JSON object: how many resources, the CPU seconds that they took without the start, and the largest memory.
Nothing of ours is imported for a peer, so that it can run in an environment of its own.
"""

# ruff: noqa: PLC0415 - each piece of work imports its own

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

__all__ = ["main"]

MODELS = 2_000  # resources of which the peer takes long enough
BATCH = 5_000
FLOOR = 4_000  # lines that land together
COLUMNS = {
    "id": "VARCHAR",
    "status": "VARCHAR",
    "subject": "STRUCT(reference VARCHAR)",
    "effectiveDateTime": "VARCHAR",
    "code": "STRUCT(coding STRUCT(system VARCHAR, code VARCHAR)[])",
    "valueQuantity": "STRUCT(value DOUBLE, unit VARCHAR)",
}


def cpu() -> float:
    """The processor time of this process and of those that it waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def ours(file: Path) -> dict[str, Any]:
    """Take a file in as `twin pull --folder` does: landed, who is who, mapped, sealed, audited, with fsync."""
    from gateway.home import Home
    from gateway.ingest import ingest
    from gateway.pull.folder import Folder
    from gateway.settings import load_settings

    marks: list[float] = []

    def progress(told: str) -> None:
        if "mapping page" in told and not marks:
            marks.append(cpu())

    with tempfile.TemporaryDirectory() as place, Home.open(load_settings(Path(place) / "home")) as home:
        began = cpu()
        report = asyncio.run(ingest(home, Folder("folder", file, "r4"), progress))
        ended = cpu()
        stored = (Path(place) / "home" / "twin.db").stat().st_size
    counts = report.ledger
    return {
        "resources": counts.resources,
        "facts": counts.facts,
        "refused": counts.refused,
        "cpu_s": ended - began,
        "mapping_cpu_s": ended - (marks[0] if marks else began),
        "stored_mb": stored / 1e6,
    }


def floor(file: Path) -> dict[str, Any]:
    """Do only what libraries in C do on our way, page by page: nothing is looked at, matched, mapped or audited.

    Lines are decoded, packed (zstd), encrypted and written with fsync as they land; they are read, decrypted and
    unpacked again, each is hashed, and they are packed, encrypted and written in blocks of half a megabyte.
    """
    import hashlib
    import sqlite3

    import msgspec
    import zstandard
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from normalise_bare import decode

    pack, unpack = zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()
    cipher, pages = AESGCM(os.urandom(32)), msgspec.msgpack.Decoder(list[bytes])

    def sealed(plain: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + cipher.encrypt(nonce, pack.compress(plain), None)

    count = 0
    with tempfile.TemporaryDirectory() as place:
        base = sqlite3.connect(f"{place}/floor.db", isolation_level=None)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=FULL")
        base.execute("CREATE TABLE page (number INTEGER PRIMARY KEY, sealed BLOB)")
        base.execute("CREATE TABLE block (number INTEGER PRIMARY KEY, names BLOB, sealed BLOB)")
        began = cpu()
        with file.open("rb") as lines:
            number = 0
            while page := [line.strip() for line in islice(lines, FLOOR)]:
                for raw in page:
                    decode(raw)
                base.execute("INSERT INTO page VALUES (?, ?)", (number, sealed(msgspec.msgpack.encode(page))))
                count, number = count + len(page), number + 1
        landed = cpu()
        for (body,) in base.execute("SELECT sealed FROM page ORDER BY number").fetchall():
            page = pages.decode(unpack.decompress(cipher.decrypt(body[:12], body[12:], None)))
            for begin in range(0, len(page), 500):
                raws = page[begin : begin + 500]
                names = b"".join(hashlib.sha256(raw).digest() for raw in raws)
                block = (sealed(names), sealed(msgspec.msgpack.encode(raws)))
                base.execute("INSERT INTO block (names, sealed) VALUES (?, ?)", block)
        ended = cpu()
        base.close()
    return {"resources": count, "cpu_s": ended - began, "mapping_cpu_s": ended - landed}


def models(file: Path) -> dict[str, Any]:
    """Read into the classes of fhir.resources, write rows of SQLModel with the raw beside; nothing is sealed."""
    from fhir.resources.R4B import get_fhir_model_class
    from sqlmodel import Field, Session, SQLModel, create_engine

    class Row(SQLModel, table=True):
        number: int | None = Field(default=None, primary_key=True)
        type: str
        id: str = Field(index=True)
        subject: str
        system: str
        code: str
        status: str
        time: str
        value: str
        unit: str
        raw: bytes

    with file.open("rb") as lines:
        raws = [line.strip() for line in islice(lines, MODELS)]
    classes = {name: get_fhir_model_class(name) for name in {json.loads(raw)["resourceType"] for raw in raws}}
    with tempfile.TemporaryDirectory() as place:
        engine = create_engine(f"sqlite:///{place}/rows.db")
        SQLModel.metadata.create_all(engine)
        began = cpu()
        with Session(engine) as session:
            rows = []
            for raw in raws:
                kind = raw[len(b'{"resourceType":"') :].split(b'"', 1)[0].decode()
                found: Any = classes[kind].model_validate_json(raw)
                quantity, coding = getattr(found, "valueQuantity", None), _coding(getattr(found, "code", None))
                about = getattr(found, "subject", None) or getattr(found, "patient", None)
                rows.append(
                    Row(
                        type=kind,
                        id=found.id or "",
                        subject=getattr(about, "reference", "") or "",
                        system=getattr(coding, "system", "") or "",
                        code=getattr(coding, "code", "") or "",
                        status=str(getattr(found, "status", "") or ""),
                        time=str(getattr(found, "effectiveDateTime", "") or ""),
                        value=str(quantity.value) if quantity else "",
                        unit=(quantity.unit or "") if quantity else "",
                        raw=raw,
                    )
                )
            session.add_all(rows)
            session.commit()
        return {"resources": len(raws), "cpu_s": cpu() - began}


def _coding(concept: Any) -> Any:
    codings = getattr(concept, "coding", None)
    return codings[0] if codings else None


def bare(file: Path) -> dict[str, Any]:
    """Decode the fields that a fact needs into structs, and drop them: what no normalisation in Python can undercut."""
    from normalise_bare import decode

    count, began = 0, cpu()
    with file.open("rb") as lines:
        for line in lines:
            decode(line)
            count += 1
    return {"resources": count, "cpu_s": cpu() - began}


def in_duckdb(file: Path) -> dict[str, Any]:
    """Read into columns, with the schema told."""
    import duckdb

    base = duckdb.connect()
    base.execute("SET threads=1")
    names = ", ".join(f"{name}: '{kind}'" for name, kind in COLUMNS.items())
    began = cpu()
    base.execute(
        f"CREATE TABLE t AS SELECT * FROM read_json('{file}', format='newline_delimited', columns={{{names}}})"  # noqa: S608 - names of ours
    )
    spent = cpu() - began
    return {"resources": base.execute("SELECT count(*) FROM t").fetchall()[0][0], "cpu_s": spent}


def in_polars(file: Path) -> dict[str, Any]:
    """Read into columns, with the schema told."""
    os.environ["POLARS_MAX_THREADS"] = "1"
    import polars as pl

    schema = {
        "id": pl.String,
        "status": pl.String,
        "subject": pl.Struct({"reference": pl.String}),
        "effectiveDateTime": pl.String,
        "code": pl.Struct({"coding": pl.List(pl.Struct({"system": pl.String, "code": pl.String}))}),
        "valueQuantity": pl.Struct({"value": pl.Float64, "unit": pl.String}),
    }
    began = cpu()
    frame = pl.read_ndjson(file, schema=schema)
    return {"resources": frame.height, "cpu_s": cpu() - began}


def in_spark(file: Path) -> dict[str, Any]:
    """Read into columns, with the schema told, and write Parquet: Spark does nothing before something is wanted."""
    from pyspark.sql import SparkSession

    schema = (
        "id STRING, status STRING, subject STRUCT<reference: STRING>, effectiveDateTime STRING, "
        "code STRUCT<coding: ARRAY<STRUCT<system: STRING, code: STRING>>>, "
        "valueQuantity STRUCT<value: DOUBLE, unit: STRING>"
    )
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.range(1).count()  # it is warm then
    java = int(session.sparkContext._jvm.java.lang.ProcessHandle.current().pid())

    def spent() -> float:
        fields = Path(f"/proc/{java}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    with tempfile.TemporaryDirectory() as place:
        began = spent()
        frame = session.read.schema(schema).json(str(file))
        frame.write.parquet(f"{place}/out")
        ended = spent()
        count = session.read.parquet(f"{place}/out").count()
    session.stop()
    return {"resources": count, "cpu_s": ended - began}


WORK: dict[str, Callable[[Path], dict[str, Any]]] = {
    "ours": ours,
    "floor": floor,
    "models": models,
    "msgspec": bare,
    "duckdb": in_duckdb,
    "polars": in_polars,
    "spark": in_spark,
}


def main() -> None:
    """Do one piece of work."""
    what, file = sys.argv[1:]
    began = time.perf_counter()
    told = WORK[what](Path(file))
    told["wall_s"] = time.perf_counter() - began
    told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(told))


if __name__ == "__main__":
    main()
