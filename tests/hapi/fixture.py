"""The oracle that we did not write: HAPI's JPA server for all five FHIR versions, built once and run for the session.

It validates all that comes against the published definitions and refuses with 422 (but for what comes with
`Prefer: handling=lenient`), keeps references whole (what is referred to must exist), does real conditional creates, and
exports by Bulk Data. R4, R4B and R5 tell of changes by rest-hook to who has subscribed to a topic. It is in memory, on
loopback, asks for no token, and ends with the session: also when pytest is killed, for it ends when its standard input
does.

A version starts when a test first asks for its address, and costs 10 (DSTU2, STU3) to 25 (R5) seconds of a core then.
Beside them HL7's validator judges single R4 resources against guides (`HapiServer.judge`), after 10 seconds of a core.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, NoReturn

import httpx
import pytest

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "hapi"
SOURCES = sorted((HERE / "src" / "main" / "java").rglob("*.java"))
# All five versions hold 1.5 GB, and the guides another third of one; with less room it collects all the time. A third
# of the start is saved by compiling quickly rather than well: the server lives for a minute. An eighth is saved by room
# from the start (45 collections become 4) and by trusting the libraries' code.
JVM = (
    *("-Xms2g", "-Xmx4g", "-Xmn1g", "-XX:MetaspaceSize=600m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
    *("-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote"),
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
)
START_SECONDS = 600
IGS = HERE.parents[2] / "shared" / "data" / "igs"
GUIDES = ("us_core_610.tgz", "ips_v110.tgz", "ihe.iti.balp-1.1.5-local.tgz")


class Issue(NamedTuple):
    """What the validator says: "error", "warning" or "information", the place, and the words."""

    severity: str
    place: str
    said: str


@dataclass(frozen=True, slots=True)
class HapiServer:
    """A running server. `base("r4")` is the FHIR base URL of a version ("dstu2" to "r5") and asks for no token."""

    root: str
    started: set[str] = field(default_factory=set)

    def base(self, version: str) -> str:
        """The base URL of a FHIR version, with no slash at its end, when it answers there."""
        if version not in self.started:
            self.start(version)
        return f"{self.root}/{version}"

    def start(self, *versions: str) -> None:
        """Start versions side by side, and wait until each tells its metadata."""
        with ThreadPoolExecutor() as pool:
            for answer in pool.map(self._metadata, versions):
                answer.raise_for_status()
        self.started.update(versions)

    def judge(self, resource: bytes, *profiles: str) -> list[Issue]:
        """Have R4 judged by HL7's validator with US Core, IPS and BALP, and by `profiles` beside what its meta says.

        It asks no terminology server: what only such a one can tell is a warning.
        """
        asked = [("profile", each) for each in profiles]
        answer = httpx.post(f"{self.root}/judge", params=asked, content=resource, timeout=START_SECONDS)
        answer.raise_for_status()
        found = answer.json().get("issue", [])
        return [Issue(i["severity"], (i.get("location") or [""])[0], i.get("diagnostics", "")) for i in found]

    def _metadata(self, version: str) -> httpx.Response:
        return httpx.get(f"{self.root}/{version}/metadata", timeout=START_SECONDS)


@pytest.fixture(scope="session")
def hapi_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HapiServer]:
    """A HAPI server that answers; skipped where it cannot be installed, a failure in CI."""
    built = build()
    log = tmp_path_factory.mktemp("hapi") / "server.log"
    classpath = f"{built / 'classes'}{os.pathsep}{(built / 'classpath').read_text()}{os.pathsep}{IGS}"
    guides = [f"-Dguides={','.join(GUIDES)}"] if all((IGS / guide).exists() for guide in GUIDES) else []
    command = ["java", *JVM, *guides, "-cp", classpath, "org.fhirtwin.oracle.Main"]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors) as server,
    ):
        try:
            yield HapiServer(_answering(server, log))
        finally:
            server.kill()


def build() -> Path:
    """Return the folder with `classes` and `classpath`, made once for each state of the sources."""
    state = hashlib.sha256(b"".join(path.read_bytes() for path in (HERE / "pom.xml", *SOURCES))).hexdigest()[:16]
    built = CACHE / state
    if built.is_dir() and all(Path(jar).exists() for jar in (built / "classpath").read_text().split(os.pathsep)):
        return built
    if shutil.which("javac") is None or shutil.which("mvn") is None:
        _run([str(HERE / "install.sh")], "a JDK and Maven are not on this machine and could not be installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        made = Path(folder) / state
        jars = made / "classpath"
        goal = ["dependency:build-classpath", "-Dmdep.includeScope=runtime", f"-Dmdep.outputFile={jars}"]
        _run(["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), *goal], "Maven could not fetch the HAPI libraries")
        compiler = [
            "javac",
            "--release",
            "17",
            "-cp",
            jars.read_text(),
            "-d",
            str(made / "classes"),
            *map(str, SOURCES),
        ]
        subprocess.run(compiler, check=True, capture_output=True)
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


def _answering(server: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until it listens, and return its address."""
    assert server.stdout is not None
    ready, _, _ = select.select([server.stdout], [], [], START_SECONDS)
    said = server.stdout.readline().decode().split() if ready else []
    if said[:1] != ["listening"]:
        pytest.fail(f"the HAPI server did not start: {log.read_text()[-3000:]}")
    return f"http://127.0.0.1:{said[1]}"
