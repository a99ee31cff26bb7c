"""The project's own synthetic cohort: people who do not exist, with coherent stories, as three EHRs would have them
on record.
"""

from conformance.cohort.cohort import TODAY, VERSIONS, Cohort, Member, build
from conformance.cohort.concept import EHRS, EhrName
from conformance.cohort.wire import to_json

__all__ = ["EHRS", "TODAY", "VERSIONS", "Cohort", "EhrName", "Member", "build", "to_json"]
