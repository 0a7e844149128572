"""Inviting somebody by e-mail, and accepting: the only page that a person sees in a browser."""

from __future__ import annotations

import html
from functools import partial
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from dcx_ari.api.bodies import Body, body_as, given, invalid
from dcx_ari.api.context import answer, context, holder, writing
from dcx_ari.api.idempotency import keep_no_answer
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.users import Email, Line, Password, RoleName, RowRef, User
from dcx_ari.services import invitations
from dcx_ari.services.errors import NotFound, Refused
from dcx_ari.services.passwords import SHORTEST, check_password, hash_password

BASE_URL: web.AppKey[str] = web.AppKey("dcx_base_url", str)
_FORM = "application/x-www-form-urlencoded"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Referrer-Policy": "no-referrer",  # the address holds the token
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>DCX: invitation</title>
<style>body{{font:16px sans-serif;max-width:28em;margin:4em auto}}input{{display:block;width:100%;margin:.3em 0 1em}}
</style><h1>DCX</h1>{body}</html>"""
_ASK = """<p>{email} is invited as {role}.</p>{fault}<form method="post"><label>Your name<input name="name"
value="{name}" maxlength="255"></label><label>Password, at least {shortest} characters<input name="password"
type="password" required minlength="{shortest}" autocomplete="new-password"></label><button>Accept</button></form>"""


class Invite(Body):
    email: Email
    role: RoleName = "viewer"
    buyer_id: RowRef = None
    traffic_source_id: RowRef = None


class Invitation(msgspec.Struct, kw_only=True):
    id: int
    email: str
    role: str
    invited_by: str
    status: str
    buyer_id: int | None
    traffic_source_id: int | None
    expires_at: str
    created_at: str


class Invited(Invitation, kw_only=True):
    accept_url: Annotated[str, Meta(description="The link in the e-mail; it is not shown again")]


class Invitations(msgspec.Struct):
    data: list[Invitation]
    next_cursor: str | None
    total: int


class Open(msgspec.Struct):
    email: str
    role: str
    expires_at: str


class Accept(Body):
    password: Password
    name: Line = ""


def add_routes(app: web.Application) -> None:
    settings = partial(Route, permission="settings.manage", tag="Access")
    public = partial(Route, permission=None, tag="Access", path="/api/invitations/{token}/accept")
    declare(
        app,
        [
            settings(
                method="POST",
                path="/api/team-members/invite",
                handler=_invite,
                summary="Invite somebody by e-mail",
                body=Invite,
                answer=Invited,
                status=201,
                refuses=(409,),
            ),
            settings(
                method="GET",
                path="/api/invitations",
                handler=_index,
                summary="List invitations",
                answer=Invitations,
            ),
            settings(
                method="DELETE",
                path="/api/invitations/{id}",
                handler=_take_back,
                summary="Take an invitation back",
                status=204,
                refuses=(409,),
            ),
            public(
                method="GET",
                handler=_open,
                summary="What the invitation is for; in a browser, a form to accept it",
                answer=Open,
                refuses=(404,),
            ),
            public(
                method="POST",
                handler=_accept,
                summary="Accept: choose a password (a form's fields are taken too)",
                body=Accept,
                answer=User,
                status=201,
                refuses=(404, 409),
            ),
        ],
    )


async def _invite(request: web.Request) -> web.Response:
    body = given(await body_as(request, Invite))
    async with writing(request) as session:
        row, link = await invitations.invite(session, body, request.app[BASE_URL], giver=holder(request))
    keep_no_answer(request)
    return answer({**row, "accept_url": link}, 201)


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await invitations.list_invitations(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _take_back(request: web.Request) -> web.Response:
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFound("invitation", f"there is no invitation {text!r}")
    async with writing(request) as session:
        await invitations.take_back(session, int(text))
    return web.Response(status=204)


async def _open(request: web.Request) -> web.Response:
    """Changes nothing: what scans mail follows links."""
    try:
        async with context(request).database.read() as session:
            row = await invitations.open_invitation(session, request.match_info["token"])
    except NotFound as error:
        if _wants_page(request):
            return _page(f"<p>{html.escape(error.rule.capitalize())}.</p>", 404)
        raise
    if _wants_page(request):
        return _ask(row.email, row.role)
    shown = invitations.shown(row)
    return answer({name: shown[name] for name in ("email", "role", "expires_at")})


async def _accept(request: web.Request) -> web.Response:
    token = request.match_info["token"]
    form = request.content_type == _FORM
    async with context(request).database.read() as session:  # before anything that takes long
        row = await invitations.open_invitation(session, token)
    body = await _form(request) if form else await body_as(request, Accept)
    try:
        check_password(body.password, email=row.email)
        hashed = await hash_password(body.password)
        async with writing(request) as session:
            user = await invitations.accept(session, token, body.name, hashed)
    except Refused as error:
        if form and not isinstance(error, NotFound):
            return _ask(row.email, row.role, name=body.name, fault=str(error))
        raise
    if form:
        return _page(f"<p>Welcome. You can now log in as {html.escape(user['email'])}.</p>", 201)
    return answer(user, 201)


async def _form(request: web.Request) -> Accept:
    fields = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    try:
        return msgspec.convert(fields, Accept)
    except msgspec.ValidationError as error:
        raise invalid(str(error)) from None


def _wants_page(request: web.Request) -> bool:
    return "text/html" in request.headers.get("Accept", "")


def _ask(email: str, role: str, *, name: str = "", fault: str = "") -> web.Response:
    texts = {"email": email, "role": role, "name": name}
    shown = {key: html.escape(value) for key, value in texts.items()}
    told = f"<p><b>{html.escape(fault)}</b></p>" if fault else ""
    return _page(_ASK.format(**shown, shortest=SHORTEST, fault=told), 422 if fault else 200)


def _page(body: str, status: int) -> web.Response:
    text = _PAGE.format(body=body)
    return web.Response(text=text, status=status, content_type="text/html", headers=_HEADERS)
