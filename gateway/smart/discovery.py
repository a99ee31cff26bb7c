"""What we are and can do, for apps that find us: SMART's configuration, and OAuth's and OpenID Connect's of the same.

Each capability has a test (docs/smart.md has the table, tests/gateway/smart/test_discovery.py holds it to that).
"""

from __future__ import annotations

from typing import Any, Final

from gateway.smart.assertions import ALGORITHMS
from gateway.smart.authentication import METHODS
from gateway.smart.places import Places
from security.tokens import ALGORITHM

__all__ = ["CAPABILITIES", "SCOPES", "STYLE", "configuration"]

CAPABILITIES: Final = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
SCOPES: Final = (
    *("openid", "fhirUser", "launch", "launch/patient", "launch/encounter", "offline_access", "online_access"),
    *("patient/*.rs", "patient/*.cruds", "patient/*.read", "user/*.rs", "user/*.cruds", "user/*.read", "system/*.rs"),
)
STYLE: Final = {
    "color_background": "#ffffff",
    "color_error": "#b00020",
    "color_highlight": "#0b5394",
    "color_modal_backdrop": "",
    "color_success": "#1b7f3b",
    "color_text": "#1a1a1a",
    "dim_border_radius": "4px",
    "dim_font_size": "16px",
    "dim_spacing_size": "16px",
    "font_family_body": "system-ui, sans-serif",
    "font_family_heading": "system-ui, sans-serif",
}
"""SMART App Launch 2.2, "Styling": the keys of its first version."""


def configuration(places: Places) -> dict[str, Any]:
    """Write `.well-known/smart-configuration`, which is a document of RFC 8414 and of OpenID Connect Discovery, too."""
    return {
        "issuer": places.issuer,
        "jwks_uri": places.at("/auth/jwks"),
        "authorization_endpoint": places.at("/auth/authorize"),
        "token_endpoint": places.token,
        "introspection_endpoint": places.at("/auth/introspect"),
        "revocation_endpoint": places.at("/auth/revoke"),
        "management_endpoint": places.at("/auth/manage"),
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES),
        "token_endpoint_auth_methods_supported": [*METHODS, "none"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_methods_supported": [*METHODS, "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "capabilities": list(CAPABILITIES),
    }
