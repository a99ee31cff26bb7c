"""Which test files share a process, and which begin first, where several processes run the tests.

By itself pytest-xdist hands out the files with the most tests first, so that a long one may begin last, and each
process that meets one of the files that share something (a Java server, hearts in each state) makes that anew.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

__all__ = ["Together", "place", "share"]

TOGETHER = ("tests/hapi/", "tests/twin_engine/circulation/", "tests/gateway/demo/", "tests/smart_clients/")
"""Folders whose files share what takes long to make; all that asks HAPI is one of them wherever it lies."""

LONG = (
    "tests/hapi/",
    "tests/twin_engine/circulation/",
    "tests/gateway/pull/test_killed_pulls.py",
    "tests/twin_engine/test_registry.py",
    "tests/gateway/test_web_circulation.py",
    "tests/gateway/pull/test_faults.py",
    "tests/gateway/test_circulation.py",
    "tests/gateway/test_bad_circulation.py",
    "tests/gateway/audit/test_bundle_mutations.py",
    "tests/smart_clients/",
    "tests/gateway/api/writing/test_writes_at_once.py",
    "tests/gateway/api/writing/test_writing_examples.py",
)
"""What takes longest, longest first."""


def share(nodeid: str) -> str:
    """Return what a test goes with: its file, or what its file shares with others."""
    file = nodeid.partition("::")[0]
    if file.endswith("_hapi.py"):
        return "tests/hapi/"
    return next((folder for folder in TOGETHER if file.startswith(folder)), file)


def place(nodeid: str) -> int:
    """Return when a test comes: the long ones first, all others in the order in which they are found."""
    shared = share(nodeid)
    return LONG.index(shared) if shared in LONG else len(LONG)


class Together(LoadFileScheduling):
    """Hands out files as `--dist loadfile` does, with those together that share something."""

    def _split_scope(self, nodeid: str) -> str:
        return share(nodeid)
