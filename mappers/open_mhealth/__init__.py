"""Data points of Open mHealth, as phones and wearables send them: known by their header, mapped by their schema."""

from __future__ import annotations

from mappers.open_mhealth.header import is_point, subject_of_point, type_and_id

__all__ = ["is_point", "subject_of_point", "type_and_id"]
