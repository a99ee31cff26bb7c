"""Records every access as a BALP AuditEvent in a signed Merkle log, and names the first record that was changed."""

from security.audit.access import Access, System
from security.audit.checkpoint import Checkpoint, Signer, open_checkpoint
from security.audit.event import (
    certificate_event,
    delivery_event,
    fetch_event,
    import_event,
    key_event,
    log_event,
    merge_event,
    proposal_event,
    query_event,
    read_event,
    remap_event,
    retraction_event,
    run_event,
    token_event,
)
from security.audit.log import Appended, AuditLog, AuditRow, audit_key
from security.audit.merkle import Frontier, inclusion_proof, leaf_hash, verify_consistency, verify_inclusion
from security.audit.verification import Verdict, verify

__all__ = [
    "Access",
    "Appended",
    "AuditLog",
    "AuditRow",
    "Checkpoint",
    "Frontier",
    "Signer",
    "System",
    "Verdict",
    "audit_key",
    "certificate_event",
    "delivery_event",
    "fetch_event",
    "import_event",
    "inclusion_proof",
    "key_event",
    "leaf_hash",
    "log_event",
    "merge_event",
    "open_checkpoint",
    "proposal_event",
    "query_event",
    "read_event",
    "remap_event",
    "retraction_event",
    "run_event",
    "token_event",
    "verify",
    "verify_consistency",
    "verify_inclusion",
]
