"""Keeps everything in one file, sealed; the only SQL of the project."""

from gateway.store.blocks import Ends
from gateway.store.contents import name_of
from gateway.store.identities import Decision, Identity, Linked
from gateway.store.store import Store
from gateway.store.values import (
    AuditEntry,
    Changes,
    Delivery,
    DeliveryState,
    ListedRefusal,
    Pull,
    PullState,
    SavedRun,
    SavedState,
    StateKind,
    StoredResource,
    TwinNews,
    TwinRecord,
    TwinSummary,
    TwinVersion,
)

__all__ = [
    "AuditEntry",
    "Changes",
    "Decision",
    "Delivery",
    "DeliveryState",
    "Ends",
    "Identity",
    "Linked",
    "ListedRefusal",
    "Pull",
    "PullState",
    "SavedRun",
    "SavedState",
    "StateKind",
    "Store",
    "StoredResource",
    "TwinNews",
    "TwinRecord",
    "TwinSummary",
    "TwinVersion",
    "name_of",
]
