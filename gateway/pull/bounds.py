"""What a source's settings allow: how much we take of an answer and of a file, and how long we wait."""

from __future__ import annotations

import dataclasses
from typing import Final

from gateway.pull.inflate import Limits
from gateway.pull.streamed import FILE_LIMITS
from gateway.pull.wire import Patience
from gateway.source_settings import SourceSettings

__all__ = ["file_limits_of", "limits_of", "line_bytes_of", "patience_of"]

_MB: Final = 1 << 20


def limits_of(settings: SourceSettings) -> Limits:
    """Return what we take of an answer that is held in memory."""
    return Limits(settings.answer_mb * _MB, settings.unpacked_mb * _MB, settings.ratio)


def file_limits_of(settings: SourceSettings) -> Limits:
    """Return what we take of a file that is read line by line: how much it may grow in unpacking, and a line's size."""
    return dataclasses.replace(FILE_LIMITS, ratio=settings.ratio)


def line_bytes_of(settings: SourceSettings) -> int:
    """Return the longest line that we take."""
    return settings.line_mb * _MB


def patience_of(settings: SourceSettings) -> Patience:
    """Return how long we wait, and how often we ask."""
    fallback = Patience()
    return Patience(
        read=min(fallback.read, settings.answer_s),
        total=settings.answer_s,
        tries=settings.tries,
        come_back=settings.come_back_s,
    )
