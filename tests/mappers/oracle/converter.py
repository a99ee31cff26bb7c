"""HL7's own converter between R4 and R5 (org.hl7.fhir.convertors) and its classes of all versions, built once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, NoReturn

import pytest

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[2] / ".cache" / "converter"
SOURCES = sorted((HERE / "src" / "main" / "java").rglob("*.java"))
JVM = ("-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")

What = Literal["4to5", "5to4", "convert", "table", "shape", "elements", "modifiers"]
Ask = Callable[[What, Iterable[bytes]], list[bytes]]


@pytest.fixture(scope="session")
def ask() -> Ask:
    """A function that has each line answered by a line, as Main.java says; skipped without Java, a failure in CI."""
    _build()
    return convert_lines


def convert_lines(what: str, lines: Iterable[bytes]) -> list[bytes]:
    """Have each line answered by a line, in a JVM of its own."""
    built = _build()
    classpath = f"{built / 'classes'}{os.pathsep}{(built / 'classpath').read_text()}"
    command = ["java", *JVM, "-cp", classpath, "org.fhirtwin.converter.Main", what]
    done = subprocess.run(command, input=b"\n".join(lines) + b"\n", capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-3000:]
    return done.stdout.splitlines()


def _build() -> Path:
    """Return the folder with `classes` and `classpath`, made once for each state of the sources."""
    state = hashlib.sha256(b"".join(path.read_bytes() for path in (HERE / "pom.xml", *SOURCES))).hexdigest()[:16]
    built = CACHE / state
    if built.is_dir() and all(Path(jar).exists() for jar in (built / "classpath").read_text().split(os.pathsep)):
        return built
    if shutil.which("javac") is None or shutil.which("mvn") is None:
        _run([str(HERE.parents[1] / "hapi" / "install.sh")], "a JDK and Maven are not here and could not be installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        made = Path(folder) / state
        jars = made / "classpath"
        goal = ["dependency:build-classpath", "-Dmdep.includeScope=runtime", f"-Dmdep.outputFile={jars}"]
        _run(["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *goal], "Maven could not fetch the converter")
        where = ["-cp", jars.read_text(), "-d", str(made / "classes"), *map(str, SOURCES)]
        subprocess.run(["javac", "--release", "17", *where], check=True, capture_output=True)
        shutil.rmtree(built, ignore_errors=True)
        made.replace(built)
    return built


def _run(command: list[str], problem: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        _unavailable(f"{problem}: {(done.stderr or done.stdout).strip()[-500:]}")


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
