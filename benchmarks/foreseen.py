"""How many coming lows and highs a twin's warnings tell, how early, and how often they are false, on real sensors.

    python benchmarks/foreseen.py [--quick] [--format json]

Hall 2018: people who log nothing. Forecast by forecast, with what was known then, a threshold is chosen on the first
70 % of each person's days so that a rule gives at most half a false alarm a day; what is told here is of the later days
only. The peer has the same chance to choose: a straight line through the last twenty minutes, as predictive alarms of
sensors have it (Buckingham BA, et al. Diabetes Technol Ther 2009;11:93-97 use such a line among others), carried on to
the rule's horizon, which warns where it is within some margin of the limit; the margin is chosen on the first days.
Needs ../shared/data.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from datetime import datetime

import numpy as np
from personal_forecasts import TRAINING, people

from twin_engine.alert import Rule, Trial, likelihood, rules_of
from twin_engine.backtest import Skill
from twin_engine.physiology.minimal_glucose import MinimalGlucose
from twin_engine.residual import POINTS, SPACING
from twin_engine.series import Reading

ALLOWED = 0.5  # false alarms a day and rule
BACK = 20.0  # minutes that the line is drawn through
REACH = 100.0  # mg/dL between the margins that the peer may choose from, in the place of a probability
MODEL = MinimalGlucose()
AHEAD = [SPACING * (point + 1.0) for point in range(POINTS)]

Seen = list[tuple[datetime, float]]
Sums = dict[str, list[float]]


def ours(readings: Seen) -> dict[str, list[float]]:
    """Tell at each reading the probability of each rule, as a twin that logs nothing has it."""
    skill = Skill.begin(MODEL, ())
    told = defaultdict(list)
    for when, value in readings:
        skill.take(Reading(when, skill.channel, value, MODEL.channels[0].sd))
        blind = MODEL.channels[0].sd * np.sqrt(1.0 + np.arange(1, POINTS + 1) * SPACING / 10.0)
        outlook = skill.look(MODEL, (), np.full(POINTS, value), blind)
        for rule in rules_of(MODEL):
            told[rule.name].append(likelihood(rule, AHEAD, outlook.mean, outlook.sd)[0])
    return told


def line(readings: Seen) -> dict[str, list[float]]:
    """Tell it as a straight line through the last minutes does: how far past the limit it goes within the horizon."""
    told = defaultdict(list)
    for number, (when, value) in enumerate(readings):
        last = [(w, v) for w, v in readings[max(0, number - 8) : number + 1] if (when - w).total_seconds() <= 60 * BACK]
        minutes = np.array([(w - when).total_seconds() / 60.0 for w, _ in last])
        slope = np.polyfit(minutes, [v for _, v in last], 1)[0] if len(last) > 2 else 0.0
        for rule in rules_of(MODEL):
            end = value + slope * rule.minutes
            past = rule.limit - min(value, end) if rule.side == "below" else max(value, end) - rule.limit
            told[rule.name].append(min(max(0.5 + past / REACH, 0.0), 1.0))
    return told


def count(rule: Rule, readings: Seen, told: list[float], cut: int, sums: Sums) -> None:
    """Choose a threshold on the first readings, and add what it does on the later ones."""
    first, later = Trial.begin(rule), Trial.begin(rule)
    for number, (when, value) in enumerate(readings):
        trial = first if number < cut else later
        trial.take(when, value)
        trial.look(when, told[number])
    threshold = first.choose(ALLOWED).threshold
    found = later.evidence(threshold)
    lead = (found.lead_minutes or 0.0) * found.foreseen
    for place, value in enumerate((found.days, found.events, found.foreseen, found.false_alarms, lead)):
        sums[rule.name][place] += value


def rows(quick: bool) -> dict[str, dict[str, object]]:
    """Measure; `quick` takes three people."""
    both: tuple[Sums, Sums] = (defaultdict(lambda: [0.0] * 5), defaultdict(lambda: [0.0] * 5))
    for readings in list(people().values())[: 3 if quick else None]:
        cut = int(len(readings) * TRAINING)
        for way, sums in zip((ours, line), both, strict=True):
            told = way(readings)
            for rule in rules_of(MODEL):
                count(rule, readings, told[rule.name], cut, sums)
    found: dict[str, dict[str, object]] = {}
    for rule in rules_of(MODEL):
        mine, theirs = (sums[rule.name] for sums in both)
        days, events = mine[0], mine[1]
        if not events:
            continue
        shares = [100.0 * one[2] / events for one in (mine, theirs)]
        found[rule.name] = {
            "ours": round(shares[0], 1),
            "peer": round(shares[1], 1),
            "ratio": round(shares[0] / shares[1], 2) if shares[1] else None,
            "unit": f"% of {events:.0f} events told ahead in {days:.0f} days; false a day: ours {mine[3] / days:.2f}, "
            f"peer {theirs[3] / days:.2f}; lead, min: ours {_lead(mine)}, peer {_lead(theirs)}",
            "goal": None,
            "met": None,
        }
    return found


def _lead(one: list[float]) -> str:
    return f"{one[4] / one[2]:.0f}" if one[2] else "-"


def main() -> int:
    """Print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three people")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    told = parser.parse_args()
    found = rows(told.quick)
    if told.format == "json":
        print(json.dumps(found, indent=2))
    else:
        for name, row in found.items():
            print(f"{name:28} ours {row['ours']}, peer {row['peer']}: {row['unit']}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
