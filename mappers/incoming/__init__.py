"""What others write to us, looked at before it is believed: is it valid R4, and what is in it that we do not take?"""

from mappers.incoming.issue import Issue, outcome_of
from mappers.incoming.json_patch import BadPatch, patched
from mappers.incoming.labels import labelled
from mappers.incoming.narrative import narrative_issues
from mappers.incoming.references import Named, Written, contained_issues, named_by, references_in, rewritten
from mappers.incoming.structure import structure_issues

__all__ = [
    "BadPatch",
    "Issue",
    "Named",
    "Written",
    "contained_issues",
    "labelled",
    "named_by",
    "narrative_issues",
    "outcome_of",
    "patched",
    "references_in",
    "rewritten",
    "structure_issues",
]
