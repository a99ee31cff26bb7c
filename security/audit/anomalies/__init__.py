"""Finds accesses that somebody should look at, and says of each why: with numbers, thresholds and the events."""

from security.audit.anomalies.anomaly import Anomaly, Known
from security.audit.anomalies.finding import RULES, find_anomalies
from security.audit.anomalies.history import History

__all__ = ["RULES", "Anomaly", "History", "Known", "find_anomalies"]
