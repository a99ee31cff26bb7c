"""What the model of the circulation says of itself: what it asks, fits, takes, is told and gives, and its card."""

from __future__ import annotations

from typing import Final

from mappers.facts import Coding
from twin_engine.circulation import clinic
from twin_engine.circulation.body import ADULT, INDEX, PARAMETERS
from twin_engine.circulation.course import COLUMNS, DRUGS
from twin_engine.circulation.heart import TOLD
from twin_engine.circulation.summary import said_evidence
from twin_engine.dynamic import Channel, PlanInput, State
from twin_engine.model import Card, Need, Parameter, Prior, Range, Yield

__all__ = ["CARD", "CHANNELS", "CITATION", "FITTED", "HOLDS", "NEEDS", "PLAN", "STATE_WORDS", "SYMBOLS", "YIELDS"]

CITATION: Final = (
    "Burkhoff D, Mirsky I, Suga H. Am J Physiol Heart Circ Physiol 2005;289:H501-H512 (pressure and volume). "
    "Stergiopulos N, Meister JJ, Westerhof N. Am J Physiol 1996;270:H2050-H2059 (activation). "
    "Ursino M. Am J Physiol 1998;275:H1733-H1747; Heldt T, et al. J Appl Physiol 2002;92:1239-1254 (reflexes). "
    "Simaan MA, et al. IEEE Trans Control Syst Technol 2009;17:115-125 (pump)."
)
OURS = "value of the reference adult and spread: ours (docs/circulation.md)"
_AGES = "Adults: the reference adult, its reflexes and all published groups are."

_SIZE = ("age", "body-height", "body-weight", *clinic.NEEDED)

NEEDS: Final = (
    Need("age", "Age", "a", "demographic", (18.0, 100.0), _AGES),
    Need("body-height", "Height", "cm", "measurement", (130.0, 220.0), "Policy: adults.", 3650, "policy"),
    Need("body-weight", "Weight", "kg", "measurement", (35.0, 200.0), "Policy: adults.", 400, "policy"),
    *clinic.NEEDS,
    Need("haemoglobin", "Haemoglobin", "g/dL", "measurement", (4.0, 22.0), "Policy: what is seen alive.", 90, "policy"),
    Need(
        *("oxygen-saturation", "Oxygen saturation", "%", "measurement", (50.0, 100.0), "Policy.", 30, "policy"),
    ),
)

HOLDS: Final = (
    Range(
        *("pulse-pressure", "Pulse pressure", "mm[Hg]", 5.0, 200.0),
        "Policy: a systolic pressure that is not above the diastolic one is no reading, and without a pulse a cuff is "
        "none.",
    ),
)
"""Where readings that are each inside their bounds cannot be of one circulation."""


def _fitted(name: str, symbol: str, title: str, sd: float, low: float, high: float, drift: float = 0.002) -> Parameter:
    centre = float(ADULT[INDEX[symbol]])
    prior = Prior("log", centre, sd, drift=drift)
    bounds = (low * centre, high * centre)
    return Parameter(name, PARAMETERS[INDEX[symbol]].unit, centre, bounds, OURS, prior, f"{title}, at 1.9 m2")


_PARAMETERS = (
    ("resting-heart-rate", "HR0", "Heart rate at rest", 0.2, 0.5, 2.2, 0.01),
    ("contractility", "Ees_lv", "End-systolic elastance of the left ventricle Ees", 0.45, 0.08, 4.0),
    ("dead-volume", "V0_lv", "Volume of the left ventricle at no pressure V0", 0.5, 0.1, 8.0),
    ("stiffness", "lam_lv", "End-diastolic stiffness of the left ventricle", 0.3, 0.25, 3.0),
    ("systemic-resistance", "R_sys", "Systemic resistance", 0.22, 0.25, 3.5),
    ("arterial-compliance", "C_sa", "Compliance of the arteries", 0.4, 0.15, 4.0),
    ("blood-volume", "TBV", "Blood volume", 0.06, 0.6, 1.6),
    ("pulmonary-resistance", "R_pul", "Pulmonary resistance", 0.5, 0.2, 15.0),
    ("right-contractility", "Ees_rv", "End-systolic elastance of the right ventricle", 0.3, 0.15, 4.0),
    ("aortic-orifice", "A_av", "Effective orifice of the aortic valve", 0.3, 0.08, 2.0),
)
SYMBOLS: Final = tuple(row[1] for row in _PARAMETERS)
FITTED: Final = tuple(_fitted(*row) for row in _PARAMETERS)

_HEART = (  # unit and bounds
    *(("mL", (0.0, 2000.0)),) * 4,
    *(("mL", (0.0, 3000.0)), ("mL", (0.0, 20000.0)), ("mL", (0.0, 2000.0)), ("mL", (0.0, 3000.0))),
    *(("mm[Hg]", (-50.0, 400.0)), ("1", (0.0, 1.0)), ("1", (0.0, 1.0)), ("1", (0.0, 5.0)), ("1", (0.0, 5.0))),
    *(("mL", (-3000.0, 3000.0)), ("mm[Hg]", (-50.0, 200.0)), ("mL/s", (-1000.0, 1000.0))),
    *(("s", (0.0, 3.0)), ("s", (0.0, 3.0)), ("1", (-1.1, 1.1)), ("1", (-1.1, 1.1))),
)
_OTHERS = {
    "surface": ("Body surface", "m2", (0.8, 4.0)),
    "haemoglobin": ("Haemoglobin; 0 where it is not known", "g/dL", (0.0, 25.0)),
    "saturation": ("Oxygen saturation", "%", (0.0, 100.0)),
    "set-pressure": ("Pressure that the baroreflex defends", "mm[Hg]", (-50.0, 400.0)),
    "set-filling": ("Filling that the cardiopulmonary reflex defends", "mm[Hg]", (-50.0, 200.0)),
    "gains": ("Strength of the reflexes; 1 in health", "1", (0.0, 2.0)),
    "valve-area": ("Effective orifice of a new aortic valve; 0 for none", "cm2", (0.0, 10.0)),
    "leaking": ("Fluid given that will leave the vessels", "mL", (0.0, 50000.0)),
    "print": ("What the heart settled under, summed up", "1", (-100.0, 100.0)),
    "drift": ("What has changed since it settled", "1", (0.0, 1e9)),
    "collapsed": ("Minutes since the circulation collapsed; 0 where it has not", "1", (0.0, 1e9)),
}


def _state(place: int, name: str) -> State:
    if name in _OTHERS:
        return State(name, *_OTHERS[name])
    if name in TOLD:
        return State(name, name.replace("-", " ").capitalize(), TOLD[name], (-100.0, 1e6))
    if name.startswith("effect-"):
        return State(name, f"Effect of {name.removeprefix('effect-')}; 1 at the usual dose", "1", (0.0, 2.0))
    unit, bounds = _HEART[place]
    return State(name, f"Heart, {name.replace('-', ' ')}", unit, bounds)


STATE_WORDS: Final = tuple(_state(place, name) for place, name in enumerate(COLUMNS))

PLAN: Final = (
    *(
        PlanInput(
            *(drug.name, drug.title, drug.unit, "rate", (0.0, drug.largest)),
            "Policy: the largest dose in use; published groups had about the usual one.",
            citation=drug.source,
            group="dose",
        )
        for drug in DRUGS
    ),
    PlanInput(
        "bleeding", "Blood lost", "mL/min", "rate", (0.0, 500.0), "Policy: above is exsanguination.", group="fluid"
    ),
    PlanInput(
        *("crystalloid", "Crystalloid given", "mL/min", "rate", (0.0, 300.0), "Policy: a rapid infuser."), group="fluid"
    ),
    PlanInput(
        *("airway-pressure", "Mean airway pressure", "cm[H2O]", "rate", (0.0, 25.0)),
        "Policy: above, lungs are injured and half of it does not reach the pleura any more.",
        group="ventilation",
    ),
    PlanInput(
        *("pump-speed", "Speed of a pump from left ventricle to aorta", "/min", "rate", (0.0, 15000.0)),
        "Simaan 2009: 8,000 to 15,000, of that pump and of no other; 0 is none.",
        group="procedure",
    ),
    PlanInput(
        *("balloon", "Volume of a balloon in the aorta", "mL", "rate", (0.0, 50.0), "Sizes in use."), group="procedure"
    ),
    PlanInput(
        *("pacing", "Rate of a pacemaker; 0 is none", "/min", "rate", (0.0, 150.0), "Policy."), group="procedure"
    ),
    PlanInput(
        *("aortic-valve", "Effective orifice of a new aortic valve", "cm2", "change", (0.3, 5.0)),
        "Prostheses in use have 0.8 to 3.5 cm2 (docs/circulation.md).",
        group="procedure",
    ),
)


def _loinc(code: str, display: str) -> Coding:
    return Coding("http://loinc.org", code, display)


_CODES = {
    "heart-rate": _loinc("8867-4", "Heart rate"),
    "systolic-pressure": _loinc("8480-6", "Systolic blood pressure"),
    "diastolic-pressure": _loinc("8462-4", "Diastolic blood pressure"),
    "mean-pressure": _loinc("8478-0", "Mean blood pressure"),
    "ejection-fraction": _loinc("10230-1", "Left ventricular Ejection fraction"),
    "wedge-pressure": _loinc("75994-4", "Pulmonary artery wedge pressure"),
    "mean-pulmonary-pressure": _loinc("8414-5", "Pulmonary artery Mean blood pressure"),
    "central-venous-pressure": _loinc("60985-9", "Central venous pressure (CVP)"),
    "cardiac-output": _loinc("8741-1", "Left ventricular Cardiac output"),
    "cardiac-index": _loinc("75919-1", "Left ventricular Cardiac index"),
    # Codes as in MII's and ISiK's profiles, and DICOM's CID 12300; their display was not read, so none is written.
    "stroke-volume": _loinc("20562-5", ""),
    "systolic-pulmonary-pressure": _loinc("8440-0", ""),
    "diastolic-pulmonary-pressure": _loinc("8385-7", ""),
    "end-diastolic-volume": _loinc("79996-5", ""),
    "end-systolic-volume": _loinc("80001-1", ""),
    "aortic-mean-gradient": _loinc("79962-7", ""),
    "aortic-valve-area": _loinc("79958-5", ""),
}
_ASE = "policy, about what two readers of one ventricle differ by (Lang RM, et al. 2015, from memory)"
_CUFF = "policy: 5, about what a validated device is off by (Stergiou GS, et al. 2018, from memory)"


_GRAIN = 0.1  # of a reading's error: seen are 0.09 for the rate, 0.03 for the others (`check_model`, docs/models.md)


def _channel(name: str, title: str, sd: float, low: float, high: float, source: str) -> Channel:
    unit = TOLD.get(name, "cm2")
    # A body changes at once; what is fast is no fault of the device here.
    return Channel(name, title, unit, sd, (low, high), high, source, code=_CODES.get(name), grain=_GRAIN * sd)


CHANNELS: Final = (
    _channel("mean-pressure", "Mean pressure", 4.0, 25.0, 220.0, _CUFF),
    _channel("heart-rate", "Heart rate", 3.0, 25.0, 250.0, "policy: a rate counted at rest"),
    _channel("systolic-pressure", "Systolic pressure", 5.0, 40.0, 280.0, _CUFF),
    _channel("diastolic-pressure", "Diastolic pressure", 5.0, 20.0, 180.0, _CUFF),
    _channel("ejection-fraction", "Ejection fraction", 5.0, 5.0, 85.0, _ASE),
    _channel("end-diastolic-volume", "End-diastolic volume", 12.0, 30.0, 500.0, _ASE),
    _channel("end-systolic-volume", "End-systolic volume", 10.0, 8.0, 450.0, _ASE),
    _channel("aortic-mean-gradient", "Mean gradient over the aortic valve", 4.0, 0.5, 120.0, "policy: 4"),
    _channel("aortic-valve-area", "Area of the aortic valve", 0.15, 0.2, 6.0, "policy: 0.15 cm2"),
    _channel("central-venous-pressure", "Central venous pressure", 2.0, -5.0, 40.0, "policy: 2"),
    _channel("wedge-pressure", "Wedge pressure", 3.0, 0.5, 60.0, "policy: 3"),
    _channel("cardiac-output", "Cardiac output", 0.5, 0.5, 20.0, "policy: 0.5, about a tenth"),
)

_TITLES = {"rise-of-pressure": "Steepest rise of pressure in the left ventricle", "stroke-work": "Stroke work"}
_DECIMALS = {"cardiac-output": 1, "cardiac-index": 1, "aortic-valve-area": 1, "wedge-pressure": 0}


def _yield(name: str, unit: str, needs: tuple[str, ...] = _SIZE) -> Yield:
    title = _TITLES.get(name, name.replace("-", " ").capitalize())
    return Yield(name, title, "observation", unit, needs, _DECIMALS.get(name, 0), CITATION, code=_CODES.get(name))


_NOT_ASKED = frozenset({"aortic-regurgitant-volume", "mitral-regurgitant-volume", "mitral-mean-gradient"})
"""What hangs on valves of which no fact is asked: a healthy valve is assumed, and not told as if it were known."""

YIELDS: Final = (
    *(_yield(name, unit) for name, unit in TOLD.items() if name not in _NOT_ASKED),
    _yield("cardiac-index", "L/min/m2"),
    _yield("oxygen-delivery", "mL/min", (*_SIZE, "haemoglobin", "oxygen-saturation")),
    _yield("aortic-valve-area", "cm2"),
)

CARD: Final = Card(
    context_of_use=(
        "To show how one person's circulation would answer a drug, a fluid, a device, a valve or another operation, "
        "for a clinician who decides; and for teaching."
    ),
    verification=(
        "Volume is conserved to 1e-9 mL; steps of 0.25 to 2 ms print the same; one heart alone and one among many give "
        "the same bits. No second implementation was run beside it."
    ),
    validation=(
        f"{said_evidence()} Two hundred known people: 90 % intervals of ejection fraction, mean pressure and output "
        "hold 87 to 92 % (docs/circulation-people.md). Papers were read in abstracts, mostly. No patient was followed "
        "prospectively."
    ),
    uncertainty="An ensemble of parameters; what clinic data cannot tell stays as wide as its prior.",
    limits=(
        "Regular rhythm, no regional wall motion but under revascularisation, no right-heart ischaemia, no "
        "autoregulation, no kidney, no remodelling. Baseline values that papers do not tell are assumed. Not for "
        "treatment."
    ),
)
