"""Pages for people: they sign in, choose a patient, allow an app what they want it to have, and end that again."""

from gateway.smart.people.office import Office
from gateway.smart.people.routes import people_routes

__all__ = ["Office", "people_routes"]
