"""Drugs in the circulation: find their steps again from the published groups (`--fit`), and audit them on all others.

python benchmarks/circulation_drugs.py            the table: each drug, each group, each change
python benchmarks/circulation_drugs.py --fit      prints the steps for twin_engine/circulation/tables/drugs.toml
python benchmarks/circulation_drugs.py --page     writes the tables of docs/circulation-drugs.md
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from twin_engine.circulation.drugs import audit, drugs, fit_drug
from twin_engine.circulation.evidence import page


def main() -> None:
    """Print the audit; with `--fit`, the steps first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="find the steps anew")
    parser.add_argument("--page", action="store_true", help="write the tables of the page")
    parser.add_argument("drug", nargs="*")
    told = parser.parse_args()
    if told.page:
        place = Path(__file__).resolve().parents[1] / "docs" / "circulation-drugs.md"
        place.write_text(page(place.read_text(encoding="utf-8")), encoding="utf-8")
        return
    for drug in drugs().values():
        if told.drug and drug.name not in told.drug:
            continue
        used = drug
        if told.fit:
            found = fit_drug(drug)
            steps = {symbol: round(float(step), 3) for symbol, step in zip(drug.free, found.steps, strict=True)}
            print(f"{drug.name}: steps = {{ {', '.join(f'{k} = {v}' for k, v in steps.items())} }}")
            used = replace(drug, steps=steps)
        if used.steps:
            for study in (drug.fitted, *drug.tested):
                found_ = audit(used, study)
                mark = "fitted" if study == drug.fitted else "tested"
                verdict = "inside" if all(each.inside for each in found_) else "OUTSIDE"
                print(f"  {drug.name:20s} {study:18s} {mark}  {verdict:8s}", end="")
                print("  ".join(f"{each.change} {each.ours:+.1f}{'' if each.inside else ' OUT'}" for each in found_))


if __name__ == "__main__":
    main()
