"""FHIR over HTTP, for others: the twins behind their one door, and the audit log by itself (IHE ITI-81)."""

from gateway.api.audit_app import audit_app
from gateway.api.auditors import Auditors

__all__ = ["Auditors", "audit_app"]
