"""Writes in: what clients create and change becomes facts, durable together with the record of who did it."""

from gateway.api.writing import bundles, links, match, single, validation

__all__ = ["OFFERS"]

OFFERS = (*single.OFFERS, *links.OFFERS, *bundles.OFFERS, *validation.OFFERS, *match.OFFERS)
