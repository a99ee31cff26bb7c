"""twin.toml, edited as a person would: one source put in or taken out, every other line and comment as it was."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from gateway.kept_files import replace_text
from gateway.settings import Settings, read_settings
from security.errors import BadSettings, Misuse

__all__ = ["TwinToml"]

_HEADER = re.compile(r"[ \t]*\[")


class TwinToml:
    """The twin.toml of a folder. It is written whole, once what is to stand in it has been read as settings.

    Raises `BadSettings` where what stands there is not TOML.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "twin.toml"
        self.text = self._read()
        try:
            self._told = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise BadSettings("twin.toml is not TOML.", hint=f"{error}.", detail=self._file) from error

    @property
    def sources(self) -> Mapping[str, Any]:
        """What stands in the file of sources, as it stands there."""
        found = self._told.get("sources")
        return found if isinstance(found, dict) else {}

    def with_source(self, name: str, values: Mapping[str, Any]) -> str:
        """Return the text with one source more, at its end."""
        wanted = {**self._told, "sources": {**self.sources, name: dict(values)}}

        def spellings() -> Iterator[str]:
            table = tomlkit.dumps({"sources": {name: dict(values)}})
            yield f"{self.text.rstrip()}\n\n{table}".lstrip("\n")
            document = tomlkit.parse(self.text)
            document["sources"][name] = dict(values)
            yield tomlkit.dumps(document)

        return _that_reads(spellings(), wanted)

    def without_source(self, name: str) -> str:
        """Return the text without a source; comments before the next table are of that one, and stay."""
        others = {key: value for key, value in self.sources.items() if key != name}
        wanted = {key: value for key, value in self._told.items() if key != "sources"}
        wanted |= {"sources": others} if others else {}

        def spellings() -> Iterator[str]:
            yield _cut(self.text, name)
            document = tomlkit.parse(self.text)
            del document["sources"][name]
            yield tomlkit.dumps(document)

        return _that_reads(spellings(), wanted)

    def check(self, text: str) -> Settings:
        """Read a text as the settings that it would be; raises `BadSettings`, and nothing is written."""
        return read_settings(text, self._folder)

    def write(self, text: str) -> None:
        """Put a text that was checked in the file's place, with the rights that it had.

        Raises `Misuse` where somebody else changed it meanwhile.
        """
        if self._read() != self.text:
            raise Misuse("twin.toml was changed meanwhile, and was left as it is.", hint="Run the command again.")
        replace_text(self._file, text)
        self.text, self._told = text, tomllib.loads(text)

    def _read(self) -> str:
        try:
            return self._file.read_text("utf-8") if self._file.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise BadSettings("twin.toml cannot be read.", hint="Check its rights.", detail=error) from error


def _that_reads(spellings: Iterator[str], wanted: Mapping[str, Any]) -> str:
    """Return the first spelling that means what it should: a file can say the same in more ways than we cut."""
    try:
        for text in spellings:
            if _meaning(text) == {**wanted, "sources": wanted.get("sources", {})}:
                return text
    except (TOMLKitError, TypeError, KeyError, AttributeError):
        pass
    raise Misuse("twin.toml is written in a way that we do not edit.", hint="Edit [sources] in it by hand.")


def _meaning(text: str) -> Mapping[str, Any]:
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    return {**told, "sources": told.get("sources", {})}


def _cut(text: str, name: str) -> str:
    """Leave out `[sources.name]` and what stands below it, up to a blank line or the comments of the next table."""
    lines = text.splitlines(keepends=True)
    ours = re.compile(rf"[ \t]*\[[ \t]*sources[ \t]*\.[ \t]*(['\"]?){re.escape(name)}\1[ \t]*\]")
    first = next((n for n, line in enumerate(lines) if ours.match(line)), len(lines))
    last = next((n for n in range(first + 1, len(lines)) if _HEADER.match(lines[n])), len(lines))
    rest = last
    while rest > first + 1 and lines[rest - 1].strip()[:1] in ("", "#"):
        rest -= 1
    blank = next((n for n in range(rest, last) if not lines[n].strip()), None)
    kept = lines[last:] if blank is None and last == len(lines) else lines[blank or rest :]
    while kept and not kept[0].strip() and not (first and lines[first - 1].strip()):
        del kept[0]
    return "".join(lines[:first] + kept).rstrip() + "\n"
