"""twin audit serve."""

from __future__ import annotations

from pathlib import Path

from gateway.cli.terminal import Options, say
from gateway.home import Home
from gateway.settings import load_settings

__all__ = ["serve_"]


def serve_(*, tokens: Path, port: int = 8425, base: str = "", options: Options = Options()) -> None:
    """Serve the audit log to auditors' systems as FHIR (IHE ITI-81), on this machine only, until Ctrl-C.

    Each search is recorded before its answer leaves, with what was shown. Before other machines may come, put a server
    with TLS in front, and say with --base how it is reached.

    Parameters
    ----------
    tokens
        A file that only you can read, with a name and a token of 32 characters or more on each line.
    port
        0 takes a free one.
    base
        The URL under which auditors know it, for the links in answers; else that of this machine.
    """
    from gateway.api.audit_serving import serve_audit
    from gateway.api.auditors import Auditors

    auditors = Auditors.read(tokens)
    with Home.open(load_settings(options.home), create=False) as home:
        serve_audit(home, auditors, port, base, lambda url: say(f"The audit log: {url}/AuditEvent (Ctrl-C ends it)"))
