"""Users, logging in, and what everybody may ask about himself."""

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
from dcx_ari.services import company, users
from dcx_ari.services.errors import Forbidden
from dcx_ari.services.logins import LoginMustWait, LoginRefused, Logins
from dcx_ari.services.passwords import LONGEST, check_password, hash_password
from dcx_ari.services.permissions import SELF, allows, known
from dcx_ari.services.times import rfc3339

LOGINS: web.AppKey[Logins] = web.AppKey("dcx_logins", Logins)

Email = Annotated[str, Meta(max_length=255)]
RoleName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,63}$")]
Line = Annotated[str, Meta(max_length=255)]
RowRef = Annotated[int | str | None, Meta(description="Id or name")]
Password = Annotated[str, Meta(max_length=LONGEST)]
Status = Literal["ACTIVE", "INACTIVE"]
DateFormat = Literal["MM/DD/YYYY", "DD/MM/YYYY", "DD.MM.YYYY", "YYYY-MM-DD"]


class Login(Body):
    email: Email
    password: Password


class PasswordChange(Body):
    current_password: Password
    new_password: Password


class NewPassword(Body):
    password: Password


class NewUser(Body):
    email: Email
    name: Line = ""
    role: RoleName = "viewer"
    password: Password | None = None
    buyer_id: RowRef = None
    traffic_source_id: RowRef = None


class UserChange(Body):
    email: Email | UnsetType = UNSET
    name: Line | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    status: Status | UnsetType = UNSET
    buyer_id: RowRef | UnsetType = UNSET
    traffic_source_id: RowRef | UnsetType = UNSET


class User(msgspec.Struct, kw_only=True):
    id: int
    email: str
    name: str
    role: str
    status: str
    buyer_id: int | None
    traffic_source_id: int | None
    created_at: str
    updated_at: str
    last_login_at: str | None
    has_password: bool


class Users(msgspec.Struct):
    data: list[User]
    next_cursor: str | None
    total: int


class Session(msgspec.Struct):
    token: str
    expires_at: str
    user: User


class PreferenceChange(Body):
    email_enabled: bool | UnsetType = UNSET
    sms_enabled: bool | UnsetType = UNSET
    slack_enabled: bool | UnsetType = UNSET
    notify_call_maxed_out: bool | UnsetType = UNSET
    notify_buyer_offline: bool | UnsetType = UNSET
    notify_daily_summary: bool | UnsetType = UNSET
    notify_conversion: bool | UnsetType = UNSET


class Preferences(msgspec.Struct):
    user_id: int
    email_enabled: bool
    sms_enabled: bool
    slack_enabled: bool
    notify_call_maxed_out: bool
    notify_buyer_offline: bool
    notify_daily_summary: bool
    notify_conversion: bool


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
    own, settings = (partial(Route, permission=each, tag="Access") for each in (SELF, "settings.manage"))
    user, preferences = "/api/users/{key}", "/api/users/{key}/notification-preferences"
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
            settings(method="GET", path="/api/users", handler=_index, summary="List users", answer=Users),
            settings(
                method="POST",
                path="/api/users",
                handler=_create,
                summary="Add a user",
                body=NewUser,
                answer=User,
                status=201,
                refuses=(409,),
            ),
            settings(method="GET", path=user, handler=_show, summary="Show a user", answer=User),
            settings(
                method="PATCH",
                path=user,
                handler=_change,
                summary="Change a user",
                body=UserChange,
                answer=User,
                refuses=(409,),
            ),
            settings(method="DELETE", path=user, handler=_remove, summary="Remove a user", status=204),
            settings(
                method="POST",
                path=f"{user}/password",
                handler=_password,
                summary="Give a user a password; his logins end",
                body=NewPassword,
                status=204,
            ),
            own(
                method="GET",
                path=preferences,
                handler=_preferences,
                summary="What a user wants to be told",
                answer=Preferences,
            ),
            own(
                method="PATCH",
                path=preferences,
                handler=_set_preferences,
                summary="Change what a user wants to be told",
                body=PreferenceChange,
                answer=Preferences,
            ),
            own(method="GET", path="/api/company", handler=_company, summary="Dates, money, zone", answer=Company),
            settings(
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


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await users.list_users(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _create(request: web.Request) -> web.Response:
    body = given(await body_as(request, NewUser))
    hashed = await _hashed(body.pop("password"), str(body["email"]))
    async with writing(request) as session:
        row = await users.create_user(session, body, password_hash=hashed, giver=holder(request), strict=True)
    return answer(row, 201, {"Location": f"/api/users/{row['id']}"})


async def _show(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return answer(users.shown(await users.find_user(session, request.match_info["key"])))


async def _change(request: web.Request) -> web.Response:
    body = given(await body_as(request, UserChange))
    async with writing(request) as session:
        row = await users.change_user(session, request.match_info["key"], body, giver=holder(request), strict=True)
    request.app[GATE].forget()
    return answer(row)


async def _remove(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await users.remove_user(session, request.match_info["key"], giver=holder(request))
    request.app[GATE].forget()
    return web.Response(status=204)


async def _password(request: web.Request) -> web.Response:
    body = await body_as(request, NewPassword)
    hashed = await _hashed(body.password) or ""
    async with writing(request) as session:
        await users.set_password(session, request.match_info["key"], hashed, giver=holder(request))
    request.app[GATE].forget()
    return web.Response(status=204)


async def _preferences(request: web.Request) -> web.Response:
    key = _own_or_managed(request)
    async with context(request).database.read() as session:
        return answer(await users.preferences(session, key))


async def _set_preferences(request: web.Request) -> web.Response:
    key = _own_or_managed(request)
    body = given(await body_as(request, PreferenceChange))
    async with writing(request) as session:
        return answer(await users.set_preferences(session, key, body))


async def _company(request: web.Request) -> web.Response:
    here = context(request)
    async with here.database.read() as session:
        return answer(await company.company(session, here.zone.key))


async def _set_company(request: web.Request) -> web.Response:
    body = given(await body_as(request, CompanyChange))
    async with writing(request) as session:
        return answer(await company.set_company(session, context(request).zone.key, body))


def _own_or_managed(request: web.Request) -> str:
    """Whose preferences: one's own (`me` will do), or anybody's for whoever manages settings. Raises Forbidden."""
    key, who = request.match_info["key"], holder(request)
    if who.kind == "user" and key in ("me", str(who.id), who.name):
        return str(who.id)
    if not who.may("settings.manage"):
        raise Forbidden("Authorization", f"role {who.role} lacks settings.manage")
    return key


async def _hashed(password: str | None, email: str = "") -> str | None:
    """Worked out before a transaction begins: it takes long."""
    if password is None:
        return None
    check_password(password, email=email)
    return await hash_password(password)


def _refused(error: LoginRefused | LoginMustWait, status: int) -> web.Response:
    if isinstance(error, LoginMustWait):
        return problem("password", str(error), 429, {"Retry-After": str(max(1, math.ceil(error.wait_s)))})
    return problem("password", "wrong e-mail address or password" if status == 401 else "is wrong", status)
