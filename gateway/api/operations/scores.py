"""How right a model's forecasts were on a twin's own past, as parts of Parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gateway.api.operations.results import part, text
from twin_engine.scoring import Score

__all__ = ["scores_parts"]


def scores_parts(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """Write each horizon's score; rmse, mae, crps and persistence are in the unit of the channel."""
    return [
        part(
            "score",
            [
                text("channel", each.channel),
                {"name": "minutes", "valueInteger": each.minutes},
                {"name": "forecasts", "valueInteger": each.count},
                *(
                    {"name": name, "valueDecimal": round(value, 6)}
                    for name, value in (
                        ("rmse", each.rmse),
                        ("mae", each.mae),
                        ("crps", each.crps),
                        ("coverage", each.coverage),
                        ("persistence", each.persistence),
                    )
                ),
            ],
        )
        for each in scores
    ]
