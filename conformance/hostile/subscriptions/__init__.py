"""An EHR that tells what changes: topic-based subscriptions, with the ways in which real ones go wrong."""

from conformance.hostile.subscriptions.mischief import Mischief
from conformance.hostile.subscriptions.telling import TellingEhr

__all__ = ["Mischief", "TellingEhr"]
