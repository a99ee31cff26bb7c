"""What an EHR corrects takes back the result that stood on it, and the chain tells both, from either end."""

from __future__ import annotations

import asyncio
import json

from gateway.deliver import propose, send
from gateway.lineage import lineage
from gateway.lineage.words import tree
from gateway.simulation import open_twin
from tests.gateway.lineage.following import pull, written


def test_a_corrected_measurement_leads_to_the_result_that_it_took_back_and_that_to_the_change(tmp_path):
    with written(tmp_path, ("summit", "harbor")) as place:
        home, [twin] = place.home, place.twins
        [first, *_] = [each for each in home.store.outbox(twin=twin) if each.landed]
        [risk] = [one.reference for one in first.landed if one.reference.startswith("RiskAssessment/")]
        before = lineage(home, risk, first.source)
        raw = next(node for node in before.of_kind("raw") if node.told["resource"].startswith("Observation/"))
        ehr = place.ehrs[raw.told["source"]]
        body = json.loads(ehr.store.read(*raw.told["resource"].split("/")).body)
        ehr.load({**body, "status": "corrected", "valueQuantity": {**body["valueQuantity"], "value": 2.9}, "meta": {}})
        pull(home)
        propose(home, open_twin(home, twin))
        asyncio.run(send(home, twin))

        after = lineage(home, risk, first.source)
        [there] = [node for node in after.nodes if node.id in after.start]
        assert (there.told["version"], there.told["how"]) == ("2", "updated")
        steps = {edge.how for edge in after.edges}
        assert {"changed by", "delivered by", "retracted by", "changes"} <= steps
        updates = {node.told["what"] for node in after.of_kind("event")}
        assert {"delivery", "delivery-update", "approval", "run", "certificate"} <= updates
        [read] = [node for node in after.of_kind("raw") if node.id == raw.id]
        assert (read.told["sha256"], read.told["since"]) == (raw.told["sha256"], "replaced by a newer version")
        assert any("to be entered-in-error, because corrected" in line for _, line in tree(after))

        forth = lineage(home, raw.told["address"])
        assert len(forth.start) == 2  # both versions of it
        assert first.id in {node.told["delivery"] for node in forth.of_kind("delivery")}
