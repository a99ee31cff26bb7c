"""What is set differently: which keys of the settings, never their values (DICOM Security Configuration 110131)."""

from __future__ import annotations

from collections.abc import Sequence

from security.audit.access import Access
from security.audit.event import SECURITY_RESOURCE, Json, detail, make_event, thing
from security.audit.kind import APPLICATION, AUTHOR, Kind, dicom
from security.plain import plain_name

__all__ = ["SETTINGS", "settings_event"]

SETTINGS = Kind(
    name="settings",
    said="changed how this installation is set up",
    type=dicom("110113"),
    subtype=dicom("110131"),
    action="U",
    us=APPLICATION,
    user=AUTHOR,
)


def settings_event(access: Access, *, part: str, keys: Sequence[str]) -> Json:
    """Record that keys of a part of the settings were added, changed or removed ("sources.north": "url", "key_file").

    A name that is no plain one, as of a file, is written with what is not plain in it encoded.
    """
    main = thing(SECURITY_RESOURCE, "settings", plain_name(part))
    if keys:
        main["detail"] = [detail("changed", plain_name(key)) for key in keys]
    return make_event(access, SETTINGS, main, also=access.what)
