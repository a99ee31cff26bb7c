"""twin propose."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver import propose, propose_plans
from gateway.deliver.decision_words import said_step
from gateway.deliver.proposed import Proposed
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin

__all__ = ["propose_"]

_SHORT = 12  # digits of an id that are shown


def propose_(twin: str, /, *, run: str = "", options: Options = Options()) -> int:
    """Turn the newest run of each model into FHIR resources, one proposal for each EHR that its facts came from.

    Each is written as that EHR can hold it, as far as is known; what [approval] lets go by itself is agreed to. Nothing
    is sent. Exit status 5 where there is nothing to propose.

    Parameters
    ----------
    twin
        The twin's id, or the beginning of it.
    run
        The id of a kept run of operations or medicines, or the beginning of it: what its plans may bring is proposed
        instead, as RiskAssessments.
    """
    with Home.open(load_settings(options.home), create=False) as home:
        record = open_twin(home, twin)
        found = propose_plans(home, record, run) if run else propose(home, record)
    made = [each for each in found if not each.left_out]
    if options.json:
        print_json({"proposals": [each.as_json() for each in found]})
    elif not found:
        say(f"There is no run to propose yet. Run: twin simulate {twin} --model kidney")
    else:
        print_table(
            "Proposals",
            ["Proposal", "Model", "For", "Resources", "State", "Who has to agree"],
            (
                (
                    each.delivery[:_SHORT] or "–",
                    each.model,
                    each.source or "–",
                    ", ".join(each.resources) or "–",
                    _state(each),
                    each.agrees if each.state == "proposed" else "–",
                )
                for each in found
            ),
        )
        for each in made:
            for step in each.steps:
                say(said_step(step, each.source))
        if made:
            say(f"What one says: twin proposals show {made[0].delivery[:_SHORT]}. To agree and send: twin send {twin}")
    return 0 if made else 5


def _state(each: Proposed) -> str:
    if each.left_out:
        return each.left_out
    return str(each.state) if each.is_new else f"{each.state}, was proposed before"
