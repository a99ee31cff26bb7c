"""Pages for people: one twin at a time, on this machine only; opening one is recorded before it is shown."""

from gateway.web.app import serve_twin, web_app

__all__ = ["serve_twin", "web_app"]
