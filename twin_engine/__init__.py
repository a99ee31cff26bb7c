"""Models of a patient, and what they say about one: computed from facts, reproducible, or refused with the reason."""

from twin_engine.answer import WHYS, Found, Lack
from twin_engine.check import check_model, example_profile
from twin_engine.equation import Equation
from twin_engine.model import Array, Card, Need, Parameter, Range, TwinModel, Yield
from twin_engine.profile import Profile
from twin_engine.registry import model, models
from twin_engine.run import Input, Missing, Output, Run, simulate

__all__ = [
    "WHYS",
    "Array",
    "Card",
    "Equation",
    "Found",
    "Input",
    "Lack",
    "Missing",
    "Need",
    "Output",
    "Parameter",
    "Profile",
    "Range",
    "Run",
    "TwinModel",
    "Yield",
    "check_model",
    "example_profile",
    "model",
    "models",
    "simulate",
]
