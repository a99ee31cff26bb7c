"""twin init."""

from __future__ import annotations

from typing import Final

from gateway.cli.terminal import Options, print_json, say
from gateway.home import Home
from gateway.kept_files import replace_text
from gateway.settings import load_settings
from gateway.settings_watch import record_changes

__all__ = ["init_"]

_EXAMPLE: Final = """\
# Settings of fhirtwin; docs/settings.md tells them all. Paths are read beside this file.
purpose = "TREAT"                    # purpose of use that the audit records for people at the terminal

# An EHR with SMART Backend Services. `twin source add` writes this for you, and makes the key.
# [sources.summit]
# url = "https://ehr.example.org/fhir"
# auth = "backend-services"          # or "client-secret", "bearer", "basic", "none"
# client_id = "our-client"
# key_file = "summit.jwk"
# way = "crawl"                      # or "patients", "bulk"
# since = "all"                      # or "auto": what changed since the last pull

# A folder of FHIR bundles or NDJSON, plain or gzip.
# [sources.files]
# folder = "/data/export"
"""

_NEXT: Final = (
    "twin source add NAME --url URL --auth backend-services --client-id ID",
    "twin doctor NAME",
    "twin pull NAME",
)


def init_(*, options: Options = Options()) -> None:
    """Make the folder for store, keys and settings, with a twin.toml to begin from. What is there stays as it is."""
    settings = load_settings(options.home)
    files = ("twin.key", "keys.db", "twin.db", "audit.pub", "twin.toml")
    there = [name for name in files if (settings.home / name).exists()]
    with Home.open(settings):
        pass
    if "twin.toml" not in there:
        replace_text(settings.home / "twin.toml", _EXAMPLE, mode=0o600)
        record_changes(settings)
    made = [name for name in files if name not in there and (settings.home / name).exists()]
    if options.json:
        print_json({"home": str(settings.home), "made": made, "there": there, "next": list(_NEXT)})
        return
    say(f"{settings.home}")
    say(f"  made: {', '.join(made) or 'nothing'}" + (f"; was there: {', '.join(there)}" if there else ""))
    if "twin.key" in made:
        say("  Copy twin.key to a safe place apart from this folder: without it nothing in the store can be read.")
        say("  Lock it by a passphrase, a token or a key server: docs/keys.md, twin keys protect.")
    say("Next:")
    for command in _NEXT:
        say(f"  {command}")
