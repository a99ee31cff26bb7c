"""FHIR over HTTP, for others: for now the audit log, for auditors' systems (IHE ITI-81)."""

from gateway.api.audit_app import audit_app
from gateway.api.auditors import Auditors

__all__ = ["Auditors", "audit_app"]
