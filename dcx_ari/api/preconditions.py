"""`If-Match`: change a row only if it is still the one that was read."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.services.errors import Invalid


def if_match(request: web.Request) -> int | None:
    """The version that the asker has read, from `If-Match: "3"`. `*` and no header mean any. Raises Invalid."""
    given = request.headers.get("If-Match", "*").strip()
    if given == "*":
        return None
    text = given.removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Invalid("If-Match", 'must be the ETag of the row, such as "3"')
    return int(text)
