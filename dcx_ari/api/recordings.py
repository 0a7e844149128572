"""Recordings: links to listen by, the audio itself with ranges, and deletion."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta

from dcx_ari.api.bodies import Body, body_as
from dcx_ari.api.call_shapes import RECORDING
from dcx_ari.api.context import ADDRESS, answer, context, holder, query_of
from dcx_ari.api.invitations import BASE_URL
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, list_of, nullable
from dcx_ari.clock import now_ms
from dcx_ari.services.audit import Actor
from dcx_ari.services.call_conditions import yes_no
from dcx_ari.services.errors import NotFound, UnknownKey
from dcx_ari.services.recording_deletion import delete_recording
from dcx_ari.services.recording_links import LINK_S, Link, read_link, secret_of, sign
from dcx_ari.services.recordings import (
    check_there,
    file_of,
    find_recording,
    list_recordings,
    played,
    recording_of,
    show_recording,
)
from dcx_ari.services.times import rfc3339

_HEARD: web.AppKey[OrderedDict[str, None]] = web.AppKey("dcx_heard", OrderedDict)
"""Tokens of links that have been played: a player asks for a file many times, and it is one play."""
_REMEMBERED = 10_000
_TYPE = "audio/wav"
_LINK = fields(
    url=TEXT,
    expires_at=MOMENT,
    recording_id=TEXT,
    call_id=TEXT,
    content_type=TEXT,
    duration_ms=nullable(NUMBER),
    size_bytes=nullable(NUMBER),
)


class Deletion(Body):
    reason: Annotated[str, Meta(min_length=1, max_length=255)]


def add_routes(app: web.Application) -> None:
    app[_HEARD] = OrderedDict()
    listen = partial(Route, method="GET", permission="calls.recording.listen", tag="Recordings")
    one = "/api/recordings/{id}"
    declare(
        app,
        [
            listen(
                path="/api/calls/{id}/recording-url",
                handler=_of_call,
                summary="A link to the call's recording, good for 15 minutes",
                query={"recording": Param("Which, of a call with several; else the first")},
                answer=_LINK,
                refuses=(409, 410),
            ),
            listen(
                path="/api/recordings",
                handler=_index,
                summary="List recordings, newest first",
                query={
                    "call": Param("Of this call"),
                    "deleted": Param("true: whose audio is gone; false: the others", YES_NO),
                    "limit": Param("Most rows, up to 1000", {"type": "integer", "minimum": 1, "maximum": 1000}),
                    "cursor": Param("Where the next page begins, from next_cursor"),
                },
                answer=list_of(RECORDING),
                refuses=(400, 404),
            ),
            listen(path=one, handler=_show, summary="Show a recording", answer=RECORDING),
            listen(
                path=f"{one}/url",
                handler=_url,
                summary="A link to the recording, good for 15 minutes",
                answer=_LINK,
                refuses=(409, 410),
            ),
            Route(
                method="GET",
                path=f"{one}/audio",
                handler=_audio,
                summary="The audio; with a link's token instead of a key. Ranges are served.",
                permission=None,
                tag="Recordings",
                query={
                    "token": Param("From the link", required=True),
                    "download": Param("true: to be saved, not played", YES_NO),
                },
                answer={"type": "string", "format": "binary"},
                media=_TYPE,
                refuses=(206, 304, 403, 404, 409, 410, 412, 416, 422),
            ),
            Route(
                method="DELETE",
                path=one,
                handler=_delete,
                summary="Delete the audio; the row stays, with its hash and the reason",
                permission="settings.manage",
                tag="Recordings",
                body=Deletion,
                answer=RECORDING,
                refuses=(409,),
            ),
        ],
    )


async def _of_call(request: web.Request) -> web.Response:
    wanted = request.query.get("recording", "")
    async with context(request).database.read() as session:
        row = await recording_of(session, request.match_info["id"], wanted)
    return _link(request, row)


async def _url(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        row = await find_recording(session, request.match_info["id"])
    return _link(request, row)


def _link(request: web.Request, row: Any) -> web.Response:
    check_there(row)
    asker, home = holder(request), _home(request)
    expires = int(time.time()) + LINK_S
    token = sign(secret_of(home), Link(row.id, expires, asker.kind, str(asker.id), asker.name))
    return answer(
        {
            "url": f"{request.app[BASE_URL]}/api/recordings/{row.id}/audio?token={token}",
            "expires_at": rfc3339(expires * 1000),
            "recording_id": row.id,
            "call_id": row.call_id,
            "content_type": _TYPE,
            "duration_ms": row.duration_ms,
            "size_bytes": row.size_bytes,
        }
    )


async def _audio(request: web.Request) -> web.StreamResponse:
    """Whoever has the link may listen, as long as it is good; the play is booked on who asked for the link."""
    home, wanted, token = _home(request), request.match_info["id"], request.query.get("token", "")
    link = read_link(secret_of(home), token, wanted, int(time.time()))
    download = "download" in request.query and yes_no("download", [request.query["download"]])
    database = context(request).database
    async with database.read() as session:
        row = await find_recording(session, wanted)
    path = file_of(home, row)
    heard = request.app[_HEARD]
    if request.method == "GET" and token not in heard:
        async with database.write() as session:
            session.info["actor"] = Actor(
                link.actor.kind, link.actor_id, link.actor_name, request.get(ADDRESS) or request.remote
            )
            await played(session, row)
        heard[token] = None
        if len(heard) > _REMEMBERED:
            heard.popitem(last=False)
    kind = "attachment" if download else "inline"
    headers = {
        "Content-Type": _TYPE,
        "Content-Disposition": f'{kind}; filename="{_file_name(row.id)}"',
        "Cache-Control": "private, max-age=900",
    }
    return web.FileResponse(path, headers=headers)


def _file_name(recording_id: str) -> str:
    """Nothing in it that could end the header's value."""
    return "".join(char for char in recording_id if char.isascii() and (char.isalnum() or char in "._-")) + ".wav"


async def _index(request: web.Request) -> web.Response:
    query = query_of(request)
    for name in query.filters:
        if name not in ("call", "deleted"):
            raise UnknownKey(name, "is not a filter of recordings")
    deleted = query.filters.get("deleted")
    limit = query.limit or 100
    async with context(request).database.read() as session:
        found = await list_recordings(
            session,
            call=query.filters.get("call", [""])[0],
            deleted=yes_no("deleted", deleted) if deleted else None,
            limit=limit + 1,
            before=query.cursor or "",
        )
    cursor = found[limit - 1]["id"] if len(found) > limit else None
    return answer({"data": found[:limit], "next_cursor": cursor, "total": -1})


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await show_recording(session, request.match_info["id"]))


async def _delete(request: web.Request) -> web.Response:
    body = await body_as(request, Deletion)
    database = context(request).database
    return answer(await delete_recording(database, _home(request), request.match_info["id"], body.reason, now_ms()))


def _home(request: web.Request) -> Path:
    home = context(request).home
    if home is None:
        raise NotFound("recording", "this API keeps no recordings")
    return home
