"""The audit log as an auditor, a witness and a thief meet it: at the command line, with its exit statuses (K4)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import main
from tests.gateway.coded import patient, result, write

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home with one pull and some accesses; tests take copies of what they change."""
    folder = tmp_path_factory.mktemp("audited")
    write(folder / "ward", patient(), result("o1", "2345-7", system="http://loinc.org"))
    home = folder / "home"
    assert main(["pull", "--folder", str(folder / "ward"), "--fhir-version", "r4", "--home", str(home)]) == 0
    for _ in range(3):
        assert main(["list", "--home", str(home)]) == 0
    return home


@pytest.fixture
def run(home, tmp_path, capsys):
    """Run a command; its output goes to a file where told."""

    def go(*arguments: object, status: int = 0, to: str = "", offline: bool = False) -> str:
        capsys.readouterr()
        where = [] if offline else ["--home", str(home)]
        assert main(["audit", *map(str, arguments), *where]) == status, capsys.readouterr()
        out = capsys.readouterr().out
        if to:
            (tmp_path / to).write_text(out)
        return out

    return go


@pytest.fixture
def bundle(run, tmp_path) -> Path:
    run("bundle", tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_bundle_is_verified_without_home_store_or_secret(bundle, home, tmp_path):
    """K4: nothing but the bundle and the public key, in a process that has no home to look into."""
    shutil.copy(home / "audit.pub", tmp_path / "audit.pub")
    told = ["audit", "verify", "bundle", "--public-key", "audit.pub"]
    code = (
        "import sys; from gateway.cli import main; status = main(sys.argv[1:]); "
        "loaded = [m for m in sys.modules if m.startswith(('gateway.store', 'gateway.home', 'sqlalchemy'))]; "
        "print(loaded); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *told],
        cwd=tmp_path,
        env={"TWIN_HOME": "/nowhere", "PATH": "", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "is whole" in done.stdout
    assert done.stdout.endswith("[]\n"), "no part of the store was even loaded"


def test_a_bundle_holds_no_secret_and_nothing_that_can_be_read(bundle, home):
    content = b"".join(file.read_bytes() for file in bundle.rglob("*") if file.is_file())
    for word in (b"AuditEvent", b"Patient", b"os-user", b"2345-7", b"recorded"):
        assert word not in content
    for line in (home / "twin.key").read_text().splitlines()[2:]:
        assert line.split()[-1].encode() not in content


def test_each_outcome_has_its_exit_status(bundle, run, home, tmp_path):
    """K4, in fhirtwin's numbers: 0 whole, 1 tampered, 2 wrong use, 5 incomplete."""
    key = ["--public-key", home / "audit.pub"]
    run("verify", bundle, *key, offline=True)
    run("verify", bundle, status=2, offline=True)
    run("verify", tmp_path / "none", *key, status=2, offline=True)
    (tmp_path / "ward").mkdir()
    run("verify", tmp_path / "ward", *key, status=2, offline=True)
    run("verify", bundle, "--public-key", "name+00000000+AAAA", status=2, offline=True)
    run("verify", bundle, *key, "--since", tmp_path / "none", status=2, offline=True)
    run("verify", bundle, *key, "--quorum", 1, status=2, offline=True)
    run("verify", "--since", bundle / "checkpoint", status=2)
    run("verify", bundle, *key, "--times", status=2, offline=True)
    assert "Times: " in run("verify", "--times")
    [entries] = (bundle / "tile/entries").rglob("*.p/*")
    whole = entries.read_bytes()
    entries.write_bytes(whole[:2] + bytes([whole[2] ^ 1]) + whole[3:])
    found = json.loads(run("verify", bundle, *key, "--format", "json", status=1, offline=True))
    assert (found["verified"], found["first_bad"], found["problem"]) == (False, 1, "changed")
    assert "Event 1" in run("verify", bundle, *key, status=1, offline=True)
    entries.unlink()
    assert "sound, but not all is there" in run("verify", bundle, *key, status=5, offline=True)


def test_a_bundle_that_was_cut_off_at_an_earlier_checkpoint_is_found_by_the_one_that_the_auditor_kept(
    bundle, run, home, tmp_path
):
    shutil.copytree(bundle, tmp_path / "earlier")
    run("list")
    run("bundle", bundle)
    key = ["--public-key", home / "audit.pub"]
    shutil.copy(bundle / "checkpoint", tmp_path / "kept")
    run("verify", tmp_path / "earlier", *key, offline=True)  # by itself it is sound
    for how in ("--kept", "--since"):
        told = json.loads(
            run(
                "verify", tmp_path / "earlier", *key, how, tmp_path / "kept", "--format", "json", status=1, offline=True
            )
        )
        assert (told["problem"], told["first_bad"]) == ("missing", told["events"] + 1)


def test_an_auditor_goes_on_from_the_last_checkpoint_with_the_new_files_alone(bundle, run, home, tmp_path):
    shutil.copy(bundle / "checkpoint", tmp_path / "last")
    first = int((tmp_path / "last").read_text().splitlines()[1])
    run("list")
    run("bundle", tmp_path / "news", "--since", tmp_path / "last")
    key = ["--public-key", home / "audit.pub"]
    said = run("verify", tmp_path / "news", *key, "--since", tmp_path / "last", offline=True)
    assert f"Events {first + 1} to " in said
    run("bundle", bundle)
    assert run("verify", bundle, *key, "--since", tmp_path / "last", offline=True).startswith(
        f"The audit log is whole. Events {first + 1} to "
    )


def test_a_folder_with_something_else_in_it_is_not_written_into(run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years")
    run("bundle", tmp_path / "mine", status=2)
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_one_event_is_proven_with_a_text_that_stands_by_itself(run, home, tmp_path):
    key = ["--public-key", home / "audit.pub"]
    proof = run("prove", 2, to="p.tlog-proof")
    assert proof.startswith("c2sp.org/tlog-proof@v1\nextra ")
    assert "This is event 2" in run("verify", tmp_path / "p.tlog-proof", *key, offline=True)
    for old, new in [("index 1\n", "index 0\n"), ("extra A", "extra B"), ("@v1", "@v2"), ("index 1\n", "index 01\n")]:
        (tmp_path / "bent").write_text(proof.replace(old, new, 1))
        run("verify", tmp_path / "bent", *key, status=1, offline=True)
    run("prove", 0, status=2)
    run("prove", 10_000, status=2)


def test_a_proof_can_be_made_for_the_checkpoint_that_somebody_holds(bundle, run, home, tmp_path):
    shutil.copy(bundle / "checkpoint", tmp_path / "held")
    run("list")
    proof = run("prove", 1, "--checkpoint", tmp_path / "held")
    assert proof.endswith((tmp_path / "held").read_text())


def test_a_witness_is_asked_signs_and_is_believed(run, home, tmp_path):
    key = ["--public-key", home / "audit.pub"]
    witness = ["witness", "--state", tmp_path / "w", "--key", tmp_path / "w.key"]
    run(*witness, "--name", "example.org/w1", to="w.pub", offline=True)
    assert (tmp_path / "w.key").stat().st_mode & 0o077 == 0
    assert run(*witness, offline=True) == (tmp_path / "w.pub").read_text()
    run(*witness, "--name", "example.org/w2", status=2, offline=True)  # a key is not written over
    run("consistency", 0, to="asked")
    run(*witness, tmp_path / "asked", status=2, offline=True)
    run(*witness, tmp_path / "asked", "--log-key", home / "audit.pub", to="signed", offline=True)
    run("cosign", tmp_path / "signed", "--witness-key", tmp_path / "w.pub")
    run("bundle", tmp_path / "b")
    told = json.loads(
        run("verify", tmp_path / "b", *key, "--witness-key", tmp_path / "w.pub", "--format", "json", offline=True)
    )
    assert told["witnessed"] == int((tmp_path / "signed").read_text().splitlines()[1])
    run("verify", "--witness-key", tmp_path / "w.pub")
    (tmp_path / "w.key").chmod(0o640)
    run(*witness, tmp_path / "asked", status=2, offline=True)
    shutil.rmtree(tmp_path / "w")
    run(*witness[:3], "--key", tmp_path / "w3.key", "--name", "example.org/w3", to="w3.pub", offline=True)
    both = ["--witness-key", tmp_path / "w.pub", "--witness-key", tmp_path / "w3.pub"]
    run("verify", tmp_path / "b", *key, *both, status=5, offline=True)
    run("verify", tmp_path / "b", *key, *both, "--quorum", 1, offline=True)


def test_that_the_log_was_verified_bundled_and_proven_is_recorded(run):
    run("verify")
    listed = json.loads(run("list", "--limit", 2, "--format", "json"))["events"]
    assert listed[1]["event"]["entity"][0]["detail"][-1]["valueString"] == "whole"


def test_the_verifier_of_one_file_says_the_same(bundle, home, tmp_path):
    """K5: docs/verify_audit.py has nothing of ours, and needs nothing but the package cryptography."""
    verifier = ROOT / "docs" / "verify_audit.py"
    assert "import gateway" not in verifier.read_text()
    assert "import security" not in verifier.read_text()

    def judge(*arguments: object) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, verifier, *map(str, arguments)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    status, said = judge(bundle, home / "audit.pub")
    assert (status, said[:3]) == (0, "OK.")
    assert judge(bundle)[0] == 2
    assert judge(bundle, "none")[0] == 2
    (bundle / "tile/entries").rename(bundle / "tile/gone")
    assert judge(bundle, home / "audit.pub")[0] == 5
