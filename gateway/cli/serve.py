"""twin serve."""

from __future__ import annotations

from gateway.cli.terminal import Options, print_json, say
from gateway.settings import load_settings

__all__ = ["serve_"]


def serve_(*, port: int = 8424, host: str = "127.0.0.1", workers: int = 1, options: Options = Options()) -> int:
    """Serve the twins as FHIR R4 to apps and EHRs, with SMART App Launch and Backend Services, until Ctrl-C.

    Who comes in is said by twin user and twin client; what they may see, by scopes, roles and the patients' consents
    (docs/serve.md). Each access is recorded before its answer leaves. Before other machines may come, put a server with
    TLS in front, and say its address in twin.toml: base_url in [serve].

    Parameters
    ----------
    port
        0 takes a free one.
    host
        Where to listen; other than this machine only behind TLS.
    workers
        How many processes serve; they share the store.
    """
    from gateway.api.serving import serve_api

    def tell(url: str) -> None:
        if options.json:
            print_json({"base": url})
        else:
            say(f"FHIR: {url} (try {url}/metadata; Ctrl-C ends it)")

    return serve_api(load_settings(options.home), host, port, max(1, workers), tell)
