"""twin source add, twin source remove."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from gateway.cli.terminal import Options, note, print_json, say
from gateway.credentials import CHANGED, WRITTEN, key_set
from gateway.home import Home
from gateway.kept_files import replace_text
from gateway.pull.keys import KeySet, SigningKey
from gateway.pull.origin import Base
from gateway.pull.scopes import wanted
from gateway.settings import Settings, SourceSettings, home_folder
from gateway.settings_watch import record_changes
from gateway.twin_toml import TwinToml
from security.errors import Misuse, UnknownName

__all__ = ["add_", "remove_"]

_SECRETS = ("token_file", "password_file", "secret_file", "proxy_password_file", "client_key_file")


def add_(
    name: str,
    /,
    *,
    url: str | None = None,
    folder: Path | None = None,
    fhir_version: str | None = None,
    auth: str | None = None,
    client_id: str | None = None,
    key_file: Path | None = None,
    secret_file: Path | None = None,
    token_file: Path | None = None,
    user: str | None = None,
    password_file: Path | None = None,
    scopes: str | None = None,
    ca_file: Path | None = None,
    proxy: str | None = None,
    vendor: str | None = None,
    way: str | None = None,
    since: str | None = None,
    group: str | None = None,
    types: Annotated[tuple[str, ...], Parameter(name="--type", negative="")] = (),
    read_only: Annotated[bool, Parameter(negative="")] = False,
    more: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = (),
    check: Annotated[bool, Parameter(negative="")] = False,
    options: Options = Options(),
) -> int:
    """Add a source to twin.toml, make its key where it needs one, and say what to register with the server.

    What would be no valid setting is told, and the file is left as it was. Secrets are given as files, never as values.

    Parameters
    ----------
    name
        What to call the source: letters, digits, - and _.
    url
        The FHIR base of a server.
    folder
        A folder of FHIR bundles or NDJSON, instead of a server.
    fhir_version
        dstu2, stu3, r4, r4b or r5; only where it cannot be detected.
    auth
        backend-services, client-secret, bearer, basic or none.
    client_id
        Our name at the server.
    key_file
        Our private keys for backend-services; without it NAME.jwk is used, and made where it is not there.
    secret_file
        The secret of client-secret.
    token_file
        The token of bearer.
    user
        The user of basic.
    password_file
        The password of basic.
    scopes
        The scopes to ask for; without it what we need, in v1 or v2 as the server says.
    ca_file
        Certificates (PEM) of a private authority.
    proxy
        An HTTP proxy between us and the server.
    vendor
        Whose habits to expect; without it they are found.
    way
        crawl, patients or bulk.
    since
        all, auto, or an instant with its zone.
    group
        The Group of a bulk export.
    types
        A resource type to ask for, once or more; without it what we understand.
    read_only
        Never send results there (write = false).
    more
        Any other setting, once or more: --set page_size=50
    check
        Look at the source at once, as twin doctor does.
    """
    home = home_folder(options.home)
    file = TwinToml(home)
    if name in file.sources:
        raise Misuse("There is a source of this name.", hint="Take another, or edit it in twin.toml.")
    told: dict[str, Any] = {
        "url": url,
        "folder": folder,
        "fhir_version": fhir_version,
        "auth": auth,
        "client_id": client_id,
        "key_file": key_file,
        "secret_file": secret_file,
        "token_file": token_file,
        "user": user,
        "password_file": password_file,
        "scopes": scopes,
        "ca_file": ca_file,
        "proxy": proxy,
        "vendor": vendor,
        "way": way,
        "since": since,
        "group": group,
        "types": list(types) or None,
        "write": False if read_only else None,
        **dict(map(_setting, more)),
    }
    if auth == "backend-services" and key_file is None:
        told["key_file"] = home / f"{name}.jwk"
    values = {key: _placed(value, home) for key, value in told.items() if value is not None}
    text = file.with_source(name, values)
    settings = file.check(text)
    _protected(settings.source(name))
    made = _keys(settings.source(name), home)
    file.write(text)
    record_changes(settings)
    _tell(name, settings, values, made, options)
    if not check:
        return 0
    from gateway.cli.doctor import doctor_

    return doctor_(name, options=options)


def remove_(source: str, /, *, yes: bool = False, options: Options = Options()) -> None:
    """Take a source out of twin.toml. What was pulled from it, its twins and its key file stay.

    Parameters
    ----------
    source
        A name from [sources] in twin.toml.
    yes
        Do it without asking.
    """
    home = home_folder(options.home)
    file = TwinToml(home)
    if source not in file.sources:
        raise UnknownName("source", source, file.sources)
    before = file.check(file.text)
    if streams := [name for name, stream in before.streams.items() if (stream.source or name) == source]:
        raise Misuse(
            f"The stream {streams[0]} brings resources of this source.", hint="Take it out of twin.toml first."
        )
    text = file.without_source(source)
    after = file.check(text)
    stays = _stays(before, source)
    if not yes:
        if not sys.stdin.isatty():
            raise Misuse("Nobody is there to ask whether this is meant.", hint="Say --yes.")
        note(f"This takes [sources.{source}] out of twin.toml. {stays['say']}")
        if input("Remove it? [y/N] ").strip().lower() not in ("y", "yes"):
            raise Misuse("Nothing was removed.")
    file.write(text)
    record_changes(after)
    if options.json:
        print_json({"removed": source, "stays": {key: value for key, value in stays.items() if key != "say"}})
    else:
        say(f"{source} is no source any more. {stays['say']}")


def _protected(told: SourceSettings) -> None:
    """Refuse a server to which our credentials would travel for all to read; every connection would refuse it, too."""
    if told.auth != "none" and told.base_url and not Base.parse(told.base_url).is_protected:
        raise Misuse("Credentials would travel unprotected.", hint="Use https:// in --url.")


def _setting(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; a value that is no TOML is text."""
    key, there, value = text.partition("=")
    if not there:
        raise Misuse("--set wants KEY=VALUE.", hint="As in --set page_size=50; see docs/settings.md.")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _placed(value: Any, home: Path) -> Any:
    """Write a path that was said here as twin.toml reads it: below its own folder, else from the root."""
    if not isinstance(value, Path):
        return value
    path = value.expanduser().absolute()
    return str(path.relative_to(home)) if path.is_relative_to(home) else str(path)


def _keys(told: SourceSettings, home: Path) -> Literal["made", "there", ""]:
    """Make the key of a source that signs; one that is there is read, so that a wrong one is told now."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if told.auth != "backend-services" or told.key_file is None:
        return ""
    if told.key_file.exists():
        key_set(told)
        return "there"
    replace_text(told.key_file, KeySet((SigningKey.new(),)).private_set() + "\n", mode=0o600)
    return "made"


def _tell(name: str, settings: Settings, values: Mapping[str, Any], made: str, options: Options) -> None:
    told = settings.source(name)
    register: dict[str, Any] = {}
    if told.auth in ("backend-services", "client-secret"):
        create, change = (WRITTEN, CHANGED) if told.write else ((), ())
        scopes = told.scopes or " ".join(wanted(("*",), create, "v2", change))
        register = {"client_id": told.client_id, "scopes": scopes}
    if told.auth == "backend-services":
        register["jwks"] = json.loads(key_set(told).public_set())
    absent = [key for key in _SECRETS if (file := getattr(told, key)) and not file.exists()]
    if options.json:
        print_json({"added": name, "settings": values, "key": made, "register": register, "absent": absent})
        return
    say(f"{name} is added to twin.toml.")
    if made:
        state = "was made" if made == "made" else "was there already"
        say(f"Its key {state}: {values['key_file']}. Keep it to yourself.")
    for key in absent:
        say(f"Put the secret into {values[key]}, readable by you only (chmod 600).")
    if register:
        say("Register with the server:")
        say(f"  client: {register['client_id']}")
        say(f"  scopes: {register['scopes']}")
    if "jwks" in register:
        say("  public keys (or the address where you publish them: twin source keys --output, docs/connections.md):")
        say(json.dumps(register["jwks"], indent=2))
    say(f"Then: twin doctor {name}")


def _stays(settings: Settings, source: str) -> dict[str, Any]:
    pulls = twins = 0
    if Home.exists(settings):
        with Home.open(settings, create=False) as home:
            pulls = len(home.store.pulls(source))
            twins = sum(source in twin.sources for twin in home.store.twins())
    key = settings.source(source).key_file
    said = f"In the store stay {pulls} pulls of it and what {twins} twins have from it"
    said += f"; so does {key.name}." if key else "."
    return {"pulls": pulls, "twins": twins, "key_file": str(key or ""), "say": said}
