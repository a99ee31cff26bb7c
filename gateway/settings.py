"""All settings, in one class: twin.toml, then TWIN_* variables, then flags. Lower packages receive values."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from security.errors import BadSettings, UnknownName

__all__ = ["Settings", "SourceSettings", "WarningSettings", "default_home", "load_settings"]

FhirVersionName = Literal["dstu2", "stu3", "r4"]


class SourceSettings(BaseModel):
    """One EHR endpoint, or one folder of FHIR files.

    Secrets are paths to files, never values: `key_file` holds a private JWK or PEM, `token_file` a bearer token.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: HttpUrl | None = None
    folder: Path | None = None
    fhir_version: FhirVersionName | None = None
    auth: Literal["backend-services", "bearer", "basic", "none"] = "none"
    client_id: str = ""
    key_file: Path | None = None
    token_file: Path | None = None
    user: str = ""
    password_file: Path | None = None
    scopes: str = ""
    ca_file: Path | None = None
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 200
    types: tuple[str, ...] = ()
    write: bool = True

    @model_validator(mode="after")
    def _one_place(self) -> SourceSettings:
        if (self.url is None) == (self.folder is None):
            raise ValueError("needs either url or folder")
        if self.auth == "backend-services" and not (self.client_id and self.key_file):
            raise ValueError("auth backend-services needs client_id and key_file")
        if self.auth == "bearer" and not self.token_file:
            raise ValueError("auth bearer needs token_file")
        if self.auth == "basic" and not (self.user and self.password_file):
            raise ValueError("auth basic needs user and password_file")
        return self

    @property
    def base_url(self) -> str:
        """The FHIR base without a slash at its end; "" for a folder."""
        return str(self.url).rstrip("/") if self.url else ""


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


def _plain(name: str) -> str:
    if not name.replace("-", "").replace("_", "").isalnum():
        raise ValueError("a source's name has letters, digits, - and _ only")
    return name


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
    """

    model_config = SettingsConfigDict(env_prefix="TWIN_", extra="forbid", frozen=True)

    home: Path
    purpose: Literal["TREAT", "HOPERAT", "HPAYMT", "HRESCH", "PUBHLTH", "ETREAT", "PATRQT"] = "TREAT"
    trusted_models: tuple[str, ...] = ()
    models: dict[str, dict[str, str]] = {}
    sources: dict[Annotated[str, AfterValidator(_plain)], SourceSettings] = {}
    warnings: WarningSettings = WarningSettings()

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


def default_home() -> Path:
    """Say where state lives when nobody says otherwise."""
    return Path(platformdirs.user_data_dir("fhirtwin", appauthor=False))


def load_settings(home: Path | None) -> Settings:
    """Read twin.toml in `home` (flag, TWIN_HOME, or a user data folder) under TWIN_* variables.

    Raises `BadSettings`, which names the key and the nearest known one.
    """
    known = _Where() if home is None else _Where(home=home)
    folder = (known.home or default_home()).expanduser().absolute()
    file = folder / "twin.toml"
    told: dict[str, Any] = {}
    if file.is_file():
        try:
            told = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise BadSettings("twin.toml is not TOML.", hint=f"{error}.", detail=str(file)) from error
    for name, source in told.get("sources", {}).items() if isinstance(told.get("sources"), dict) else ():
        for key in ("key_file", "token_file", "password_file", "ca_file", "folder"):
            if isinstance(source, dict) and isinstance(source.get(key), str):
                told["sources"][name][key] = str((folder / Path(source[key]).expanduser()).absolute())
    warnings = told.get("warnings")
    if isinstance(warnings, dict) and isinstance(warnings.get("webhook_secret_file"), str):
        warnings["webhook_secret_file"] = str((folder / Path(warnings["webhook_secret_file"]).expanduser()).absolute())
    try:
        return Settings(**{**told, "home": folder}).model_copy(update={"home": folder})
    except ValidationError as error:
        first = error.errors()[0]
        raise BadSettings(_sentence(first["loc"], first["type"], first["msg"]), hint="See docs/settings.md.") from error


class _Where(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="TWIN_", extra="ignore")

    home: Path | None = None


def _sentence(place: tuple[int | str, ...], kind: str, message: str) -> str:
    key = ".".join(str(p) for p in place)
    if kind == "extra_forbidden":
        names = [*SourceSettings.model_fields, *WarningSettings.model_fields, *Settings.model_fields]
        near = difflib.get_close_matches(str(place[-1]), names, n=1)
        return f"twin.toml: there is no setting {key}." + (f" Did you mean {near[0]}?" if near else "")
    return f"twin.toml: {key}: {message}."
