"""twin propose."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, print_table, say
from gateway.deliver import propose, propose_plans
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin

__all__ = ["propose_"]


def propose_(twin: str, /, *, run: str = "", options: Options = Options()) -> int:
    """Turn the newest run of each model into FHIR resources, one proposal for each EHR that its facts came from.

    Nothing is sent. Exit status 5 where there is nothing to propose.

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
    if options.json:
        print_json({"proposals": [p.as_json() for p in found]})
    elif not found:
        say(f"There is no run to propose yet. Run: twin simulate {twin} --model kidney")
    else:
        print_table(
            "Proposals",
            ["Model", "To", "Resources", "State"],
            (
                (
                    p.model,
                    p.source,
                    ", ".join(p.resources),
                    p.left_out or ("proposed" if p.is_new else "was proposed before"),
                )
                for p in found
            ),
        )
        if any(not p.left_out for p in found):
            say(f"To see what would be written: twin send {twin} --dry-run. To write it: twin send {twin}")
    return 0 if any(not p.left_out for p in found) else 5
