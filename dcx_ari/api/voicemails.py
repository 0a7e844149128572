"""Voicemails: `/api/calls/voicemails`, who looks after them, and links to listen by."""

from __future__ import annotations

import time
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.call_shapes import CALLBACK, PAGING
from dcx_ari.api.context import ADDRESS, answer, context, holder, page_answer, query_of, writing
from dcx_ari.api.invitations import BASE_URL
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import MOMENT, NUMBER, TEXT, YES_NO, fields, list_of, nullable
from dcx_ari.clock import now_ms
from dcx_ari.services import voicemails
from dcx_ari.services.audit import Actor
from dcx_ari.services.errors import NotFound, UnknownKey
from dcx_ari.services.recording_links import LINK_S, Link, read_link, secret_of, sign
from dcx_ari.services.times import rfc3339
from dcx_ari.services.voicemail_deletion import delete_voicemail
from dcx_ari.services.voicemail_list import FILTERS, list_voicemails

Priority = Literal["low", "normal", "high", "urgent"]
_HEARD: web.AppKey[OrderedDict[str, None]] = web.AppKey("dcx_voicemails_heard", OrderedDict)
"""Tokens of links that have been played: a player asks for a file many times, and it is one play."""
_REMEMBERED = 10_000
_TYPE = "audio/wav"
VOICEMAIL = fields(
    **dict.fromkeys(("id", "call_id", "caller", "state", "priority", "notes", "transcribing"), TEXT),
    **{name: nullable(TEXT) for name in ("sha256", "error", "assigned_to", "transcription", "transcription_error")},
    **{name: nullable(NUMBER) for name in ("number_id", "campaign_id", "size_bytes", "transcription_confidence")},
    **{name: nullable(MOMENT) for name in ("callback_scheduled_at", "heard_at", "done_at")},
    duration_ms=NUMBER,
    created_at=MOMENT,
    updated_at=MOMENT,
    playable=YES_NO,
)
_LINK = fields(url=TEXT, expires_at=MOMENT, voicemail_id=TEXT, content_type=TEXT, duration_ms=NUMBER)


class Change(Body):
    state: Literal["new", "heard", "done"] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET


class To(Body):
    assigned_to: Annotated[str, Meta(max_length=255, description="Who looks after it; null: nobody")] | None


class Done(Body):
    notes: Annotated[str, Meta(max_length=10_000, description="To be added to the notes")] = ""


class Removal(Body):
    reason: Annotated[str, Meta(max_length=255, description="Kept in the audit log")] = ""


class Back(Body):
    due_at: Annotated[str, Meta(description="RFC 3339, or a time on the company's clock such as 2026-01-31T09:00")]
    priority: Priority | UnsetType = UNSET
    assigned_to: str | UnsetType | None = UNSET
    notes: str | UnsetType = UNSET


def add_routes(app: web.Application) -> None:
    app[_HEARD] = OrderedDict()
    base, one = "/api/calls/voicemails", "/api/calls/voicemails/{voicemail}"
    see = partial(Route, method="GET", permission="calls.view", tag="Voicemail")
    edit = partial(Route, method="PATCH", permission="calls.edit", tag="Voicemail", answer=VOICEMAIL, refuses=(409,))
    query = {**{name: Param(text) for name, text in FILTERS.items()}, "q": Param("Search"), **PAGING}
    declare(
        app,
        [
            see(
                path=base,
                handler=_index,
                summary="List voicemails, newest first",
                query=query,
                answer=list_of(VOICEMAIL),
                refuses=(400, 404),
            ),
            see(path=one, handler=_show, summary="Show a voicemail", answer=VOICEMAIL, refuses=(409,)),
            edit(path=one, handler=_change, summary="Change state, priority, person or note", body=Change),
            edit(
                method="DELETE",
                path=one,
                handler=_delete,
                summary="Delete it: audio, text and row; answers with what it was",
                permission="settings.manage",
                body=Removal,
                body_required=False,
            ),
            edit(path=f"{one}/assign", handler=_assign, summary="Give it to somebody", body=To),
            edit(path=f"{one}/heard", handler=_heard, summary="Somebody listened"),
            edit(path=f"{one}/done", handler=_done, summary="It is dealt with", body=Done, body_required=False),
            edit(
                method="POST",
                path=f"{one}/schedule-callback",
                handler=_back,
                summary="Call whoever left it back",
                body=Back,
                answer=CALLBACK,
                status=201,
                refuses=(409,),
            ),
            see(
                path=f"{one}/url",
                handler=_url,
                summary="A link to listen by, good for 15 minutes",
                permission="calls.recording.listen",
                answer=_LINK,
                refuses=(409,),
            ),
            see(
                path=f"{one}/audio",
                handler=_audio,
                summary="The audio; with a link's token instead of a key. Ranges are served.",
                permission=None,
                query={"token": Param("From the link", required=True)},
                answer={"type": "string", "format": "binary"},
                media=_TYPE,
                refuses=(206, 304, 403, 404, 409, 412, 416, 422),
            ),
        ],
    )


async def _index(request: web.Request) -> web.Response:
    query = query_of(request)
    if query.sort_by != "id" or query.descending:
        raise UnknownKey("sort_by", "is not known here: the newest come first")
    async with context(request).database.read() as session:
        return page_answer(await list_voicemails(session, query))


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(await voicemails.show_voicemail(session, _key(request)))


async def _change(request: web.Request) -> web.Response:
    body = given(await body_as(request, Change))
    async with writing(request) as session:
        return answer(await voicemails.change_voicemail(session, _key(request), body, now_ms()))


async def _delete(request: web.Request) -> web.Response:
    body = await body_as(request, Removal, optional=True)
    made = await delete_voicemail(context(request).database, _home(request), _key(request), body.reason, now_ms())
    return answer(made)


async def _assign(request: web.Request) -> web.Response:
    body = await body_as(request, To)
    async with writing(request) as session:
        return answer(await voicemails.assign(session, _key(request), body.assigned_to, now_ms()))


async def _heard(request: web.Request) -> web.Response:
    async with writing(request) as session:
        return answer(await voicemails.mark_heard(session, _key(request), now_ms()))


async def _done(request: web.Request) -> web.Response:
    body = await body_as(request, Done, optional=True)
    async with writing(request) as session:
        return answer(await voicemails.mark_done(session, _key(request), now_ms(), body.notes))


async def _back(request: web.Request) -> web.Response:
    body = given(await body_as(request, Back))
    async with writing(request) as session:
        return answer(await voicemails.schedule_callback(session, _key(request), body, now_ms()), 201)


async def _url(request: web.Request) -> web.Response:
    asker, home = holder(request), _home(request)
    async with context(request).database.read() as session:
        row = await voicemails.find_voicemail(session, _key(request))
    voicemails.file_of(home, row)
    expires = int(time.time()) + LINK_S
    token = sign(secret_of(home), Link(row.id, expires, asker.kind, str(asker.id), asker.name))
    return answer(
        {
            "url": f"{request.app[BASE_URL]}/api/calls/voicemails/{row.id}/audio?token={token}",
            "expires_at": rfc3339(expires * 1000),
            "voicemail_id": row.id,
            "content_type": _TYPE,
            "duration_ms": row.duration_ms,
        }
    )


async def _audio(request: web.Request) -> web.StreamResponse:
    """Whoever has the link may listen, as long as it is good; the play is booked on who asked for the link."""
    home, token = _home(request), request.query.get("token", "")
    link = read_link(secret_of(home), token, _key(request), int(time.time()))
    database = context(request).database
    async with database.read() as session:
        row = await voicemails.find_voicemail(session, _key(request))
    path = voicemails.file_of(home, row)
    heard = request.app[_HEARD]
    if request.method == "GET" and token not in heard:
        async with database.write() as session:
            address: Any = request.get(ADDRESS) or request.remote
            session.info["actor"] = Actor(link.actor.kind, link.actor_id, link.actor_name, address)
            await voicemails.played(session, row, now_ms())
        heard[token] = None
        if len(heard) > _REMEMBERED:
            heard.popitem(last=False)
    headers = {
        "Content-Type": _TYPE,
        "Content-Disposition": 'inline; filename="voicemail.wav"',
        "Cache-Control": "private, max-age=900",
    }
    return web.FileResponse(path, headers=headers)


def _key(request: web.Request) -> str:
    return request.match_info["voicemail"]


def _home(request: web.Request) -> Path:
    home = context(request).home
    if home is None:
        raise NotFound("voicemail", "this API keeps no voicemails")
    return home
