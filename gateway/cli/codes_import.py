"""twin codes import."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.cli.terminal import Options, print_json, say
from gateway.code_files import check_table, codes_folder
from gateway.concept_map import convert_map
from gateway.kept_files import replace_text
from gateway.settings import load_settings
from gateway.settings_watch import record_changes
from mappers import Unreadable, read_json
from security.errors import Misuse, StoreFull

__all__ = ["import_"]


def import_(
    file: Path, /, *, source: str = "", name: str = "", replace: bool = False, options: Options = Options()
) -> None:
    """Make a table of codes of a FHIR ConceptMap (JSON, DSTU2 to R5).

    What it says that is neither equal, wider, narrower nor unmatched is left out, and counted.

    Parameters
    ----------
    file
        The ConceptMap.
    source
        The only source for which it holds; without it, it holds for all.
    name
        Name of the table; else the name of the ConceptMap.
    replace
        Put it in the place of a table of that name.
    """
    try:
        told = read_json(file.read_bytes())
    except OSError as error:
        raise Misuse("The file of the ConceptMap cannot be read.", hint="Check its path.", detail=error) from error
    except Unreadable as error:
        raise Misuse(f"The file is no FHIR JSON ({error.reason}).", hint="Give a ConceptMap as JSON.") from error
    if told.get("resourceType") != "ConceptMap":
        raise Misuse("The file is no ConceptMap.", hint="Give a ConceptMap as JSON; write other tables by hand.")
    made = convert_map(told)
    url, version = str(told.get("url", "")), str(told.get("version", ""))
    cite = f"ConceptMap {url or file.name}{f' version {version}' if version else ''}"
    called = _file_name(name or str(told.get("name", "")) or file.stem)
    content = made.as_toml(str(told.get("title") or told.get("name") or called), source, cite)
    _, problems = check_table(content, f"codes/{called}.toml")
    if problems:
        more = f" {len(problems) - 1} more mistakes." if len(problems) > 1 else ""
        raise Misuse(f"The ConceptMap makes no table. {problems[0]}{more}", hint="Correct it, and import it again.")
    settings = load_settings(options.home)
    folder = codes_folder(settings.home)
    path = folder / f"{called}.toml"
    if path.exists() and not replace:
        raise Misuse(f"There is a table {called} already.", hint="Say --replace, or another --name.")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreFull("The folder codes cannot be made.", hint="Make room or rights there.", detail=error) from error
    replace_text(path, content)
    record_changes(settings)
    if options.json:
        print_json({"table": called, "rows": len(made.rows), "left_out": dict(made.left_out)})
        return
    say(f"{len(made.rows):,} rows are in codes/{called}.toml.")
    for why, count in made.left_out.most_common():
        say(f"{count:,} left out: {why}.")
    say("twin codes check looks at all tables together.")


def _file_name(name: str) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-").lower()[:64]
    if not plain:
        raise Misuse("The ConceptMap has no name.", hint="Say --name.")
    return plain
