"""Write the bill of materials of a release in CycloneDX form: fhirtwin, what it needs to run, and nothing else.

    .venv/bin/python .ci/sbom.py [FILE]

`cyclonedx-py` (kept by CycloneDX) tells what is installed, with versions and licences. It counts optional parts of
packages as needed, and the tools of development stand in the same environment; so what fhirtwin needs is followed here
by the packages' own metadata (PEP 508), and the rest left out. What is written was checked against CycloneDX's schema.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]


def installed() -> dict[str, Any]:
    """Describe the environment that runs this, as CycloneDX does."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    command = [str(tool), "environment", "--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    options = [
        "--sv",
        SchemaVersion.V1_6.to_version(),
        "--output-reproducible",
        "--of",
        "JSON",
        "--no-validate",
        "-o",
        "-",
        sys.executable,
    ]
    ran = subprocess.run([*command, *options], capture_output=True, check=True)  # noqa: S603 - no word from outside
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def needed() -> dict[str, set[str]]:
    """Follow what fhirtwin needs on this machine: by name, what each needs directly."""
    ours = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, set[str]] = {}
    ahead = [(canonicalize_name(ours["name"]), frozenset[str]())]
    seen = set()
    while ahead:
        asked, extras = ahead.pop()
        if (asked, extras) in seen:
            continue
        seen.add((asked, extras))
        try:
            told = ours["dependencies"] if asked == ours["name"] else distribution(asked).requires or []
        except PackageNotFoundError as error:
            raise SystemExit(f"{asked} is needed and not installed: make .venv/ready-dev") from error
        direct = found.setdefault(asked, set())
        for requirement in map(Requirement, told):
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                direct.add(canonicalize_name(requirement.name))
                ahead.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found


def released(bill: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not needed to run, and say of each part what it needs."""
    main = bill["metadata"]["component"]
    needs = needed()
    main["version"] = distribution(main["name"]).version
    components = [each for each in bill["components"] if canonicalize_name(each["name"]) in needs]
    refs = {canonicalize_name(each["name"]): each["bom-ref"] for each in (main, *components)}
    if missing := needs.keys() - refs.keys():
        raise SystemExit(f"not in the bill of materials: {', '.join(sorted(missing))}")
    dependencies = [
        {"ref": refs[name], "dependsOn": sorted(refs[each] for each in direct)}
        for name, direct in sorted(needs.items())
    ]
    return bill | {"components": components, "dependencies": dependencies}


def main() -> None:
    """Write it to a file, or to standard output."""
    text = json.dumps(released(installed()), indent=2) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"not a CycloneDX bill of materials: {wrong}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
