"""The ways of writing: each version of FHIR by templates of its own, with the habits of one EHR. Never through
`mappers`.
"""

from conformance.cohort.render import dstu2, r4, r5, stu3

__all__ = ["dstu2", "r4", "r5", "stu3"]
