"""schemathesis sends what nobody would to each endpoint that is not FHIR's: each answers as written, and none fails."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

from gateway.home import Home
from gateway.settings import load_settings
from tests.gateway.smart.openapi import document
from tests.gateway.smart.people.door import Surfer, serving

SECONDS = 40


def test_every_endpoint_answers_as_it_is_written_whatever_comes(tmp_path: Path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "twin.toml").write_text("[serve]\ntokens_a_minute = 100000\n", "utf-8")
    (tmp_path / "openapi.json").write_text(json.dumps(document()), "utf-8")
    with Home.open(load_settings(tmp_path / "home")) as home, serving(home) as server:
        server.user()
        server.client()
        basic = b64encode(f"clinic:{server.secret('clinic')}".encode()).decode()
        with Surfer(server) as browser:
            browser.enter(browser.get("/auth/login"))
            cookie = browser.cookies["fhirtwin-login"]
        # What a form should hold is ours to say, not the schema's: a page refuses most of what a schema would allow.
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance"
        words = [
            *(sys.executable, "-m", "schemathesis.cli", "run", str(tmp_path / "openapi.json"), "--url", server.root),
            *("--checks", f"{checks},response_schema_conformance", "--phases", "examples,coverage,fuzzing"),
            *(
                "--max-examples",
                "15",
                "--seed",
                "9",
                "--max-redirects",
                "0",
                "--no-color",
                "--generation-database",
                "none",
            ),
            *(
                "-H",
                f"Cookie: fhirtwin-login={cookie}",
                "-H",
                f"Authorization: Basic {basic}",
                "--request-timeout",
                "10",
            ),
        ]
        ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS * 4, check=False)
    assert "22/22" in ran.stdout
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
