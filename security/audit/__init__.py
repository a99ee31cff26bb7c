"""Records every access as a BALP AuditEvent in a signed Merkle log, and names the first record that was changed."""

from security.audit.access import Access, System, TokenUse
from security.audit.checkpoint import Checkpoint, Signer, open_checkpoint
from security.audit.configuration import settings_event
from security.audit.consents import break_glass_event, consent_event, review_event
from security.audit.disclosures import disclosure_event, receipt_event
from security.audit.keeping import (
    KeyStep,
    backup_event,
    erase_event,
    export_event,
    hold_event,
    key_event,
    restore_event,
    restriction_event,
)
from security.audit.kinds import KINDS, kind_of
from security.audit.log import Appended, AuditLog, AuditRow, audit_key
from security.audit.merkle import Frontier, Node, leaf_hash, verify_consistency, verify_inclusion
from security.audit.oversight import (
    log_event,
    log_export_event,
    report_event,
    search_event,
    verify_event,
    witness_event,
)
from security.audit.proofs import Tree, consistency_proof, inclusion_proof
from security.audit.records import (
    certificate_event,
    decision_event,
    import_event,
    merge_event,
    proposal_event,
    remap_event,
    retraction_event,
    run_event,
)
from security.audit.rest import (
    answer_events,
    created_event,
    deleted_event,
    delivery_event,
    fetch_event,
    query_event,
    read_event,
    update_event,
    updated_event,
)
from security.audit.tokens import (
    issue_event,
    login_event,
    logout_event,
    opaque_token,
    signed_token,
    token_event,
)
from security.audit.verification import Verdict, verify
from security.audit.witness import Cosigner, cosignature_in, read_request, write_request
from security.plain import is_plain, plain_name

__all__ = [
    "KINDS",
    "Access",
    "Appended",
    "AuditLog",
    "AuditRow",
    "Checkpoint",
    "Cosigner",
    "Frontier",
    "KeyStep",
    "Node",
    "Signer",
    "System",
    "TokenUse",
    "Tree",
    "Verdict",
    "answer_events",
    "audit_key",
    "backup_event",
    "break_glass_event",
    "certificate_event",
    "consent_event",
    "consistency_proof",
    "cosignature_in",
    "created_event",
    "decision_event",
    "deleted_event",
    "delivery_event",
    "disclosure_event",
    "erase_event",
    "export_event",
    "fetch_event",
    "hold_event",
    "import_event",
    "inclusion_proof",
    "is_plain",
    "issue_event",
    "key_event",
    "kind_of",
    "leaf_hash",
    "log_event",
    "log_export_event",
    "login_event",
    "logout_event",
    "merge_event",
    "opaque_token",
    "open_checkpoint",
    "plain_name",
    "proposal_event",
    "query_event",
    "read_event",
    "read_request",
    "receipt_event",
    "remap_event",
    "report_event",
    "restore_event",
    "restriction_event",
    "retraction_event",
    "review_event",
    "run_event",
    "search_event",
    "settings_event",
    "signed_token",
    "token_event",
    "update_event",
    "updated_event",
    "verify",
    "verify_consistency",
    "verify_event",
    "verify_inclusion",
    "witness_event",
    "write_request",
]
