"""All settings, in one class: twin.toml, then TWIN_* variables, then flags. Lower packages receive values."""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from gateway.approval_settings import ApprovalRule, ApprovalSettings
from gateway.keys_settings import KEY_PATHS, KeysSettings
from gateway.serve_settings import ServeSettings
from gateway.source_settings import SourceSettings
from gateway.store_settings import STORE_PATHS, StoreSettings
from gateway.trust_settings import TRUST_PATHS, TrustSettings
from security.errors import BadSettings, UnknownName

__all__ = [
    "AuditSettings",
    "KeysSettings",
    "ServeSettings",
    "Settings",
    "SourceSettings",
    "StoreSettings",
    "StreamSettings",
    "WarningSettings",
    "default_home",
    "home_folder",
    "load_settings",
    "read_settings",
]

_PATHS = (
    *("key_file", "token_file", "password_file", "secret_file", "ca_file", "client_certificate_file"),
    *("client_key_file", "proxy_password_file", "folder", "webhook_secret_file", "users_file"),
)


class WarningSettings(BaseModel):
    """How warnings are raised, and where they go beside the page, the terminal and the stream of events.

    Parameters
    ----------
    deliver
        "fhir": into the EHRs that the readings came from. "webhook": to `webhook_url`, signed with the secret in
        `webhook_secret_file` (24 random bytes or more).
    false_alarms_a_day
        How many false alarms a day a rule may give on a twin's own past; the threshold of its probability follows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    deliver: tuple[Literal["fhir", "webhook"], ...] = ()
    webhook_url: str = ""
    webhook_secret_file: Path | None = None
    false_alarms_a_day: Annotated[float, Field(gt=0, le=24)] = 0.5

    @model_validator(mode="after")
    def _receiver(self) -> WarningSettings:
        if "webhook" in self.deliver and not (self.webhook_url and self.webhook_secret_file):
            raise ValueError("deliver webhook needs webhook_url and webhook_secret_file")
        return self


class StreamSettings(BaseModel):
    """One way in for what comes by itself. Secrets are paths to files, as in a source.

    Parameters
    ----------
    kind
        "post": resources by HTTP POST. "folder": NDJSON files dropped into `folder`. "mqtt": a broker's topics.
        "subscription": an EHR that notifies our `endpoint`.
    source
        The name in `[sources]` whose ids, people and FHIR version these are; "": the stream's own name.
    token_file
        The bearer token that whoever posts has to send; for a subscription the one that the EHR is given to send.
    waiting
        How many deliveries may wait for mapping, over all of the streams with the same limit; senders wait behind it.
    largest_mb
        How large one delivery may be.
    tls
        Only to a broker on this machine may it be left out.
    client_id
        Under which the broker keeps what comes while we are away; "": made from the name of the stream.
    topic, criteria
        A SubscriptionTopic's canonical URL, and its types ("Observation") or filters ("Observation?patient=Patient/1").
    endpoint
        The public address at which the EHR reaches us (https, ends in the path that we serve).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["post", "folder", "mqtt", "subscription"]
    source: str = ""
    token_file: Path | None = None
    waiting: Annotated[int, Field(ge=1, le=100_000)] = 256
    largest_mb: Annotated[int, Field(ge=1, le=64)] = 8
    folder: Path | None = None
    host: str = ""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    tls: bool = True
    topics: tuple[str, ...] = ()
    user: str = ""
    password_file: Path | None = None
    ca_file: Path | None = None
    client_id: str = ""
    topic: str = ""
    criteria: tuple[str, ...] = ()
    endpoint: HttpUrl | None = None
    payload: Literal["id-only", "full-resource"] = "id-only"

    @model_validator(mode="after")
    def _complete(self) -> StreamSettings:
        needed: dict[str, bool] = {}
        match self.kind:
            case "post":
                needed = {"token_file": self.token_file is not None}
            case "folder":
                needed = {"folder": self.folder is not None}
            case "mqtt":
                needed = {"host": bool(self.host), "topics": bool(self.topics)}
            case "subscription":
                needed = {
                    "topic": bool(self.topic),
                    "endpoint": self.endpoint is not None,
                    "token_file": self.token_file is not None,
                }
        missing = [key for key, there in needed.items() if not there]
        if missing:
            raise ValueError(f"kind {self.kind} needs {' and '.join(missing)}")
        if self.kind == "mqtt" and not self.tls and not _is_here(self.host):
            raise ValueError("tls can be left out for a broker on this machine only")
        if self.password_file and not self.user:
            raise ValueError("password_file needs user")
        if self.endpoint and self.endpoint.scheme != "https" and not _is_here(self.endpoint.host or ""):
            raise ValueError("endpoint has to be https")
        return self

    @property
    def broker_port(self) -> int:
        """The port told, else MQTT's registered one: 8883 with TLS, 1883 without."""
        return self.port or (8883 if self.tls else 1883)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _plain(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("the name of a source or a stream has letters, digits, - and _ only")
    return name


class AuditSettings(BaseModel):
    """What is done to make the audit log hard to take back, and what is looked for in it.

    Parameters
    ----------
    anchor
        A file, best on another disk, that the newest checkpoint is kept in besides `audit.checkpoint`.
    vip
        Twins any use of which `twin audit anomalies` tells; `twin audit mark TWIN` writes each, so that this file names
        none.
    surnames
        The surname of the person who has an account ("os-user:huber" = "Huber"), for uses of a namesake's twin.
    keep_years
        After how many years `twin audit retain` archives events; none is ever removed. Without it there is no archive.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    anchor: Path | None = None
    vip: tuple[Annotated[str, Field(pattern="^[0-9a-f]{32}$")], ...] = ()
    surnames: dict[str, str] = {}
    keep_years: Annotated[int, Field(ge=1, le=200)] | None = None


class Settings(BaseSettings):
    """What the operator decides. `home` is the folder of store, keys and twin.toml.

    Parameters
    ----------
    purpose
        Purpose of use that the audit records for people at the terminal (HL7 v3-ActReason).
    trusted_models
        Distributions whose entry points in the group `fhirtwin.models` are loaded.
    models
        Settings of models, by the model's name; `twin model show NAME` lists them.
    warnings
        How warnings are raised and where they go.
    streams
        What comes by itself, and how.
    keys
        Where the keys are, and what opens them.
    audit
        Where the newest checkpoint of the audit log is kept, too.
    store
        Where the data is, if not in a file of the home.
    serve
        How the API is known, and what it lets in.
    approval
        Who agrees to what before it is written to an EHR, and what becomes there of results that no longer stand.
    """

    model_config = SettingsConfigDict(
        env_prefix="TWIN_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    home: Path
    purpose: Literal["TREAT", "HOPERAT", "HPAYMT", "HRESCH", "PUBHLTH", "ETREAT", "PATRQT"] = "TREAT"
    trusted_models: tuple[str, ...] = ()
    models: dict[str, dict[str, str]] = {}
    sources: dict[Annotated[str, AfterValidator(_plain)], SourceSettings] = {}
    warnings: WarningSettings = WarningSettings()
    streams: dict[Annotated[str, AfterValidator(_plain)], StreamSettings] = {}
    keys: KeysSettings = KeysSettings()
    audit: AuditSettings = AuditSettings()
    store: StoreSettings = StoreSettings()
    serve: ServeSettings = ServeSettings()
    approval: ApprovalSettings = ApprovalSettings()

    @model_validator(mode="after")
    def _streams_have_sources(self) -> Settings:
        for name, stream in self.streams.items():
            if (source := stream.source or name) not in self.sources:
                raise ValueError(
                    f"streams.{name}: there is no [sources.{source}]; say whose resources they are: source"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables win over twin.toml, which is given as arguments; read nothing else."""
        return env_settings, init_settings

    def source(self, name: str) -> SourceSettings:
        """Return one source, or say which names are known."""
        if name not in self.sources:
            raise UnknownName("source", name, self.sources)
        return self.sources[name]

    def stream(self, name: str) -> StreamSettings:
        """Return one stream, or say which names are known."""
        if name not in self.streams:
            raise UnknownName("stream", name, self.streams)
        return self.streams[name]


def default_home() -> Path:
    """Say where state lives when nobody says otherwise."""
    return Path(platformdirs.user_data_dir("fhirtwin", appauthor=False))


def home_folder(home: Path | None) -> Path:
    """Say which folder is meant: the flag, TWIN_HOME, or a user data folder; it need not be there."""
    known = _Where() if home is None else _Where(home=home)
    return (known.home or default_home()).expanduser().absolute()


def load_settings(home: Path | None) -> Settings:
    """Read twin.toml in `home` (flag, TWIN_HOME, or a user data folder) under TWIN_* variables.

    Raises `BadSettings`, which names the key and the nearest known one.
    """
    folder = home_folder(home)
    file = folder / "twin.toml"
    try:
        text = file.read_text("utf-8") if file.is_file() else ""
    except UnicodeDecodeError as error:
        raise BadSettings("twin.toml is not TOML.", hint=f"{error}.", detail=str(file)) from error
    except OSError as error:
        raise BadSettings("twin.toml cannot be read.", hint="Check its rights.", detail=error) from error
    return read_settings(text, folder)


def read_settings(text: str, folder: Path) -> Settings:
    """Read what stands in a twin.toml of `folder`, or is to stand there, under TWIN_* variables."""
    try:
        told: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettings("twin.toml is not TOML.", hint=f"{error}.", detail=folder) from error
    for part in ("sources", "streams"):
        for entry in told[part].values() if isinstance(told.get(part), dict) else ():
            _place(entry, folder)
    _place(told.get("warnings"), folder)
    _place(told.get("keys"), folder, KEY_PATHS)
    _place(told.get("audit"), folder, ("anchor",))
    _place(told.get("store"), folder, STORE_PATHS)
    _place(told.get("serve"), folder, ("ca_file",))
    trust = told["serve"].get("trust") if isinstance(told.get("serve"), dict) else None
    for entry in trust.values() if isinstance(trust, dict) else ():
        _place(entry, folder, TRUST_PATHS)
    try:
        return Settings(**{**told, "home": folder}).model_copy(update={"home": folder})
    except SettingsError as error:
        raise BadSettings("A variable TWIN_… is not the JSON that it has to be.", hint=f"{error}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSettings(_sentence(first["loc"], first["type"], first["msg"]), hint="See docs/settings.md.") from error


def _place(told: Any, folder: Path, paths: Iterable[str] = _PATHS) -> None:
    """Read the paths of one table as they stand beside twin.toml."""
    for key in paths if isinstance(told, dict) else ():
        if isinstance(told.get(key), str):
            told[key] = str((folder / Path(told[key]).expanduser()).absolute())


class _Where(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TWIN_", extra="ignore")

    home: Path | None = None


def _sentence(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(str(p) for p in place)
    if kind == "extra_forbidden":
        tables = (
            SourceSettings,
            StreamSettings,
            WarningSettings,
            KeysSettings,
            AuditSettings,
            StoreSettings,
            ServeSettings,
            TrustSettings,
            ApprovalSettings,
            ApprovalRule,
            Settings,
        )
        names = [field for table in tables for field in table.model_fields]
        near = difflib.get_close_matches(str(place[-1]), names, n=1)
        return f"twin.toml: there is no setting {key}." + (f" Did you mean {near[0]}?" if near else "")
    return f"twin.toml: {key}: {message.removeprefix('Value error, ')}."
