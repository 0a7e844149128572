"""Logging in, and what everybody may ask about himself and the company."""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.access import GATE, problem
from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.context import ADDRESS, actor, answer, context, holder, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.users import Email, Password, User
from dcx_ari.services import company
from dcx_ari.services.logins import LoginMustWait, LoginRefused, Logins
from dcx_ari.services.permissions import SELF, allows, known
from dcx_ari.services.times import rfc3339

LOGINS: web.AppKey[Logins] = web.AppKey("dcx_logins", Logins)

DateFormat = Literal["MM/DD/YYYY", "DD/MM/YYYY", "DD.MM.YYYY", "YYYY-MM-DD"]


class Login(Body):
    email: Email
    password: Password


class PasswordChange(Body):
    current_password: Password
    new_password: Password


class Session(msgspec.Struct):
    token: str
    expires_at: str
    user: User


class Company(msgspec.Struct):
    timezone: str
    date_format: str
    currency: str
    locale: str


class CompanyChange(Body):
    date_format: DateFormat | UnsetType = UNSET
    locale: Annotated[str, Meta(max_length=20)] | UnsetType = UNSET


class Me(msgspec.Struct, kw_only=True):
    kind: Literal["key", "user"]
    id: int
    name: str
    role: str
    permissions: list[str]
    buyer_id: int | None
    traffic_source_id: int | None
    company: Company


def add_routes(app: web.Application) -> None:
    own = partial(Route, permission=SELF, tag="Access")
    declare(
        app,
        [
            Route(
                method="POST",
                path="/api/session",
                handler=_login,
                summary="Log in: a token for twelve hours",
                permission=None,
                tag="Access",
                body=Login,
                answer=Session,
                status=201,
                refuses=(401, 429),
            ),
            own(method="DELETE", path="/api/session", handler=_logout, summary="Log out", status=204),
            own(method="GET", path="/api/me", handler=_me, summary="Who am I, and what may I do", answer=Me),
            own(
                method="POST",
                path="/api/me/password",
                handler=_own_password,
                summary="Change my password; other logins end",
                body=PasswordChange,
                status=204,
            ),
            own(method="GET", path="/api/company", handler=_company, summary="Dates, money, zone", answer=Company),
            Route(
                permission="settings.manage",
                tag="Access",
                method="PATCH",
                path="/api/company",
                handler=_set_company,
                summary="Change how dates are written",
                body=CompanyChange,
                answer=Company,
            ),
        ],
    )


async def _login(request: web.Request) -> web.Response:
    body = await body_as(request, Login)
    try:
        user, token, until = await request.app[LOGINS].login(body.email, body.password, request[ADDRESS] or None)
    except (LoginRefused, LoginMustWait) as error:
        return _refused(error, 401)
    return answer({"token": token, "expires_at": rfc3339(until), "user": user}, 201)


async def _logout(request: web.Request) -> web.Response:
    await request.app[LOGINS].logout(holder(request), actor(request))
    request.app[GATE].forget()
    return web.Response(status=204)


async def _me(request: web.Request) -> web.Response:
    who = holder(request)
    async with context(request).database.read() as session:
        found = await company.company(session, context(request).zone.key)
    return answer(
        {
            "kind": who.kind,
            "id": who.id,
            "name": who.name,
            "role": who.role,
            "permissions": sorted(name for name in known() if allows(who.permissions, name)),
            "buyer_id": who.buyer_id,
            "traffic_source_id": who.source_id,
            "company": found,
        }
    )


async def _own_password(request: web.Request) -> web.Response:
    body = await body_as(request, PasswordChange)
    try:
        await request.app[LOGINS].change_password(
            holder(request), actor(request), body.current_password, body.new_password
        )
    except (LoginRefused, LoginMustWait) as error:
        return _refused(error, 403)
    request.app[GATE].forget()
    return web.Response(status=204)


async def _company(request: web.Request) -> web.Response:
    here = context(request)
    async with here.database.read() as session:
        return answer(await company.company(session, here.zone.key))


async def _set_company(request: web.Request) -> web.Response:
    body = given(await body_as(request, CompanyChange))
    async with writing(request) as session:
        return answer(await company.set_company(session, context(request).zone.key, body))


def _refused(error: LoginRefused | LoginMustWait, status: int) -> web.Response:
    if isinstance(error, LoginMustWait):
        return problem("password", str(error), 429, {"Retry-After": str(max(1, math.ceil(error.wait_s)))})
    return problem("password", "wrong e-mail address or password" if status == 401 else "is wrong", status)
