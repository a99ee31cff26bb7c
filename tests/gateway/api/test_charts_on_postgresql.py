"""The same charts out of a database as out of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.api.charts import StoreCharts
from gateway.home import Home
from gateway.settings import load_settings
from gateway.simulation import open_twin, run_model
from tests.gateway.erasing import ADA, GRACE, lay, pull, twin_named
from tests.postgres.told import store_table


def test_a_chart_on_a_server_has_what_one_in_a_file_has(postgresql: Any, tmp_path: Path):
    server = postgresql.store()
    place = tmp_path / "home"
    place.mkdir(mode=0o700)
    (place / "twin.toml").write_text(store_table(server), "utf-8")
    with Home.open(load_settings(place)) as home:
        pull(home, lay(tmp_path / "in", *ADA, *GRACE))
        ada, grace = twin_named(home, "Patient/ada"), twin_named(home, "Patient/grace")
        charts = StoreCharts(home)
        assert list(charts.twins("")) == sorted([ada, grace])
        before = charts.chart(ada)
        assert charts.chart(ada) is before
        run_model(home, open_twin(home, ada), "kidney")
        chart = charts.chart(ada)
        assert chart is not before
        assert len(chart.of_type("Observation")) == 2
        assert charts.tenant_of(ada) == ""
        members = charts.members(charts.group_of("north"), "")
        assert members is not None
        assert list(members) == sorted([ada, grace])
        assert charts.shared("").of_type("Organization")
