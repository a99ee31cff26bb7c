"""Keeps everything in one file, sealed; the only SQL of the project."""

from gateway.store.backing import Copy, copy_file, inspect_copy
from gateway.store.blocks import Ends
from gateway.store.contents import name_of
from gateway.store.delivery import ARRIVED, ARROWS, ON_ITS_WAY, Attempt, Delivery, DeliveryState, Landed
from gateway.store.erasing import Erasure, Relatives
from gateway.store.guarding import Guard, GuardKind
from gateway.store.identities import Decision, Identity, Linked
from gateway.store.register import Registered
from gateway.store.store import Store
from gateway.store.values import (
    AuditEntry,
    Changes,
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
    "ARRIVED",
    "ARROWS",
    "ON_ITS_WAY",
    "Attempt",
    "AuditEntry",
    "Changes",
    "Copy",
    "Decision",
    "Delivery",
    "DeliveryState",
    "Ends",
    "Erasure",
    "Guard",
    "GuardKind",
    "Identity",
    "Landed",
    "Linked",
    "ListedRefusal",
    "Pull",
    "PullState",
    "Registered",
    "Relatives",
    "SavedRun",
    "SavedState",
    "StateKind",
    "Store",
    "StoredResource",
    "TwinNews",
    "TwinRecord",
    "TwinSummary",
    "TwinVersion",
    "copy_file",
    "inspect_copy",
    "name_of",
]
