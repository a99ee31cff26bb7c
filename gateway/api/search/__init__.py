"""FHIR search over what a caller may see: the question, the walk, what is linked, and the page."""
