"""The stories: what happens to the people of the cohort, one disease a file. A story writes into a chart and returns
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from conformance.cohort.chart import Chart
from conformance.cohort.stories import (
    aortic_stenosis,
    breast_cancer,
    colectomy,
    copd,
    health,
    heart_failure,
    hypertension,
    kidney_disease,
    lung_cancer,
    old_age,
    pregnancy,
    prostate_cancer,
    septic_shock,
    type_1_diabetes,
    type_2_diabetes,
)

__all__ = ["STORIES", "Story"]

Story = Callable[[Chart], None]

STORIES: Final[Mapping[str, Story]] = MappingProxyType(
    {
        "type-1-diabetes": type_1_diabetes.tell,
        "type-1-diabetes-adolescent": type_1_diabetes.tell_adolescent,
        "type-2-diabetes": type_2_diabetes.tell,
        "diabetic-kidney-disease": type_2_diabetes.tell_kidney,
        "prediabetes": type_2_diabetes.tell_prediabetes,
        "hypertension": hypertension.tell,
        "hypertension-new": hypertension.tell_new,
        "hfref": heart_failure.tell,
        "hfpef": heart_failure.tell_preserved,
        "aortic-stenosis": aortic_stenosis.tell,
        "lung-cancer": lung_cancer.tell,
        "breast-cancer": breast_cancer.tell,
        "prostate-cancer": prostate_cancer.tell,
        "ckd-g3b": kidney_disease.tell_g3b,
        "ckd-g4": kidney_disease.tell_g4,
        "colectomy": colectomy.tell,
        "septic-shock": septic_shock.tell,
        "copd": copd.tell,
        "pregnancy": pregnancy.tell,
        "old-age": old_age.tell,
        "healthy-man": health.tell_man,
        "healthy-woman": health.tell_woman,
        "hypothyroidism": health.tell_hypothyroidism,
        "asthma": health.tell_asthma,
    }
)
