"""People whose medication is compared in tests: what a clinic reads of each, and an ensemble of them at rest."""

from __future__ import annotations

from twin_engine.circulation.eligible import Known
from twin_engine.circulation.model import Circulation
from twin_engine.circulation.personal import personal
from twin_engine.circulation.resting import Resting, resting_of

MODEL = Circulation()
PERSON = {"age": 60.0, "body-height": 175.0, "body-weight": 75.0}
CONGESTED = {
    "heart-rate": (84, 3),
    "systolic-pressure": (128, 4),
    "diastolic-pressure": (82, 4),
    "mean-pressure": (95, 3),
    "ejection-fraction": (25, 4),
    "wedge-pressure": (28, 2),
    "cardiac-output": (3.8, 0.3),
    "central-venous-pressure": (9, 2),
    "end-diastolic-volume": (240, 20),
}
LOW = CONGESTED | {
    "heart-rate": (92, 3),
    "systolic-pressure": (93, 3),
    "diastolic-pressure": (56, 3),
    "mean-pressure": (68, 3),
    "ejection-fraction": (20, 4),
    "wedge-pressure": (24, 2),
    "cardiac-output": (3.4, 0.3),
}
WELL = CONGESTED | {
    "heart-rate": (62, 2),
    "systolic-pressure": (112, 4),
    "diastolic-pressure": (68, 4),
    "mean-pressure": (83, 3),
    "ejection-fraction": (28, 2),
    "wedge-pressure": (11, 2),
    "cardiac-output": (5.0, 0.3),
    "central-venous-pressure": (4, 2),
    "end-diastolic-volume": (200, 15),
}
SHOCK = CONGESTED | {
    "heart-rate": (105, 3),
    "systolic-pressure": (74, 3),
    "diastolic-pressure": (46, 3),
    "mean-pressure": (55, 2),
    "wedge-pressure": (24, 2),
    "cardiac-output": (2.8, 0.3),
    "central-venous-pressure": (11, 2),
    "end-diastolic-volume": (165, 15),
}


def someone(readings: dict[str, tuple[float, float]], members: int = 16) -> Resting:
    return resting_of(MODEL, personal(MODEL, PERSON, readings, members=members).ensemble)


def known(**changes) -> Known:
    """All that is asked for: a person with heart failure, good kidneys, no drug and nothing else."""
    told = {"potassium": 4.4, "egfr": 60.0, "taken": (), "conditions": {"heart-failure": True}, "assume_absent": True}
    return Known(**(told | changes))
