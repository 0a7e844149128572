"""Users, and what they want to be told."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.access import GATE
from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.context import answer, context, holder, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.services import users
from dcx_ari.services.errors import Forbidden
from dcx_ari.services.passwords import LONGEST, check_password, hash_password
from dcx_ari.services.permissions import SELF

Email = Annotated[str, Meta(max_length=255)]
RoleName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,63}$")]
Line = Annotated[str, Meta(max_length=255)]
RowRef = Annotated[int | str | None, Meta(description="Id or name")]
Password = Annotated[str, Meta(max_length=LONGEST)]
Status = Literal["ACTIVE", "INACTIVE"]


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


def add_routes(app: web.Application) -> None:
    own, settings = (partial(Route, permission=each, tag="Access") for each in (SELF, "settings.manage"))
    user, preferences = "/api/users/{key}", "/api/users/{key}/notification-preferences"
    declare(
        app,
        [
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
        ],
    )


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
