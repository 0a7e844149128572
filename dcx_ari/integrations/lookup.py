"""Look-up services for callers' numbers: over HTTP, or as a plug-in of another package.

`DCX_LOOKUP` is a URL with `{phone}` in it, which answers `{"carrier": …, "is_mobile": …, "name": …}` (or `line_type`
instead of `is_mobile`), or the name of an entry point of group `dcx.lookup`: a function without arguments that gives a
`services.lookup.LookUp`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from dcx_ari.services.lookup import ASK_S, Found, LookUp
from dcx_ari.settings import SettingsError

GROUP = "dcx.lookup"
_MAX_ANSWER = 64 * 1024
_LONGEST = 255


def lookup_of(setting: str, key: str = "") -> LookUp | None:
    """The service that the setting names; None where it is empty. Raises SettingsError."""
    if not setting:
        return None
    if setting.startswith(("http://", "https://")):
        if "{phone}" not in setting:
            raise SettingsError("DCX_LOOKUP: the URL must have {phone} in it")
        return HttpLookUp(setting, key)
    found = entry_points(group=GROUP, name=setting)
    if not found:
        raise SettingsError(f"DCX_LOOKUP: must be a URL with {{phone}}, or an entry point of {GROUP}: {setting!r}")
    made: LookUp = next(iter(found)).load()()
    return made


class HttpLookUp:
    """`GET` of the URL with the number in the place of `{phone}`; the key, if any, as a bearer token."""

    def __init__(self, url: str, key: str = "") -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def __call__(self, phone: str) -> Found | None:
        """Raises aiohttp.ClientError, TimeoutError, msgspec.DecodeError."""
        url = self._url.replace("{phone}", quote(phone, safe=""))
        raw = bytearray()
        async with self._session() as session, session.get(url, allow_redirects=False) as answer:
            if answer.status == 404:
                return Found()
            answer.raise_for_status()
            async for chunk in answer.content.iter_chunked(8192):
                raw += chunk
                if len(raw) > _MAX_ANSWER:
                    raise msgspec.DecodeError("the answer is too long")
        said = msgspec.json.decode(raw)
        if not isinstance(said, dict):
            raise msgspec.DecodeError("the answer must be a JSON object")
        return Found(_text(said.get("carrier")), _mobile(said), _text(said.get("name")))

    def _session(self) -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=ASK_S)
        return aiohttp.ClientSession(timeout=timeout, headers=self._headers, cookie_jar=aiohttp.DummyCookieJar())


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    return "".join(char for char in value if char.isprintable()).strip()[:_LONGEST] or None


def _mobile(said: dict[str, Any]) -> bool | None:
    """Only a plain yes or no counts: a line type that is neither is not known."""
    if isinstance(said.get("is_mobile"), bool):
        return bool(said["is_mobile"])
    kinds = {"mobile": True, "wireless": True, "landline": False, "fixed": False, "voip": False}
    return kinds.get(str(said.get("line_type", "")).strip().lower())
