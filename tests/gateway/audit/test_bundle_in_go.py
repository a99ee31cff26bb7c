"""K5: a bundle as Go's checksum-database client reads it, which knows nothing of us but the layout of tlog-tiles."""

from __future__ import annotations

import pytest

from tests.gateway.audit.conftest import Kept, Log, bend, make_log
from tests.security.audit.judging import Judge, make_judge


@pytest.fixture(scope="module")
def judge(tmp_path_factory) -> Judge:
    return make_judge(tmp_path_factory.mktemp("go"))


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Log:
    """700 events: two full tiles, a partial one, and one above them."""
    return make_log(tmp_path_factory.mktemp("large"), (100,) * 7, ())


def test_go_reads_the_bundle_and_finds_what_was_changed(large, judge, tmp_path):
    bundles, expected = [large.bundle], [True]
    for path, content in large.bundle.files.items():
        if path in ("format", "key", "checkpoints"):  # these are ours alone
            continue
        for place in {0, 1, 40, len(content) // 2, len(content) - 1} & set(range(len(content))):
            bundles.append(large.bundle.changed(path, bend(content, place, 1)))
            expected.append(False)
        bundles.append(large.bundle.changed(path, content[:-1]))
        expected.append(False)
    questions = [_question(large, bundle, tmp_path / str(n)) for n, bundle in enumerate(bundles)]
    assert len(questions) > 40
    assert judge(questions) == expected


def _question(large: Log, bundle: Kept, folder) -> dict[str, object]:
    return {"kind": "bundle", "note": str(bundle.write(folder)), "key": large.public_key}
