"""FHIR Subscriptions in: asks an EHR to tell what changes (R4, R4B, R5), and loses no event when it does not.

Here are the shared values only; who talks to an EHR imports `catch_up`, `registration` or `upkeep`.
"""

from gateway.stream.subscriptions.actions import Action, AskStatus, CatchUp, Fetch, Outcome, Poll, Renew
from gateway.stream.subscriptions.decisions import due, settle
from gateway.stream.subscriptions.hearing import Heard, hear
from gateway.stream.subscriptions.notification import Event, Notification, Refusal, read_notification
from gateway.stream.subscriptions.receiver import Answer, receive
from gateway.stream.subscriptions.secret import Door, Secret
from gateway.stream.subscriptions.standing import Rules, Standing, load_standing
from gateway.stream.subscriptions.topic import Content, Filter, Topic

__all__ = [
    "Action",
    "Answer",
    "AskStatus",
    "CatchUp",
    "Content",
    "Door",
    "Event",
    "Fetch",
    "Filter",
    "Heard",
    "Notification",
    "Outcome",
    "Poll",
    "Refusal",
    "Renew",
    "Rules",
    "Secret",
    "Standing",
    "Topic",
    "due",
    "hear",
    "load_standing",
    "read_notification",
    "receive",
    "settle",
]
