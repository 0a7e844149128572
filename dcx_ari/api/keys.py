"""API keys and roles, for whoever may manage settings."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from dcx_ari.api.access import GATE
from dcx_ari.api.bodies import Body, body_as, given
from dcx_ari.api.context import answer, context, holder, writing
from dcx_ari.api.idempotency import keep_no_answer
from dcx_ari.api.routes import Route, declare
from dcx_ari.services import roles
from dcx_ari.services.keys import MAX_GRACE_S, change_key, create_key, list_keys, revoke_key, rotate_key
from dcx_ari.services.permissions import FIXED, known

Name = Annotated[str, Meta(min_length=1, max_length=100)]
RoleName = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,63}$")]
Rate = Annotated[int, Meta(ge=0, le=1_000_000, description="Requests a minute; 0: no limit")]
Networks = Annotated[list[str], Meta(max_length=100, description="Addresses and networks; none: from everywhere")]
Patterns = Annotated[list[str], Meta(min_length=1, max_length=200)]
RowRef = Annotated[int | str | None, Meta(description="Id or name")]


class NewKey(Body):
    name: Name
    role: RoleName = "admin"
    rate_limit_per_minute: Rate = 60
    allowed_ip_ranges: Networks = msgspec.field(default_factory=list)
    expires_at: str | None = None
    buyer_id: RowRef = None
    traffic_source_id: RowRef = None


class KeyChange(Body):
    name: Name | UnsetType = UNSET
    role: RoleName | UnsetType = UNSET
    rate_limit_per_minute: Rate | UnsetType = UNSET
    allowed_ip_ranges: Networks | UnsetType = UNSET
    expires_at: str | UnsetType | None = UNSET
    buyer_id: RowRef | UnsetType = UNSET
    traffic_source_id: RowRef | UnsetType = UNSET


class Rotation(Body):
    grace_s: Annotated[int, Meta(ge=0, le=MAX_GRACE_S, description="How long the old key still works")] = 0


class Key(msgspec.Struct, kw_only=True):
    id: int
    name: str
    prefix: str
    role: str
    rate_limit_per_minute: int
    allowed_ip_ranges: list[str]
    buyer_id: int | None
    traffic_source_id: int | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    last_used_ip: str | None
    revoked_at: str | None
    old_key_works_until: str | None


class MadeKey(Key, kw_only=True):
    key: Annotated[str, Meta(description="The key itself; it is not shown again")]


class Keys(msgspec.Struct):
    data: list[Key]
    next_cursor: str | None
    total: int


class Role(msgspec.Struct, kw_only=True):
    name: str
    permissions: list[str]
    built_in: bool
    created_at: str | UnsetType = UNSET


class Roles(msgspec.Struct):
    data: list[Role]
    next_cursor: str | None
    total: int


class NewRole(Body):
    name: RoleName
    permissions: Patterns


class RoleChange(Body):
    permissions: Patterns


class Permission(msgspec.Struct):
    name: str
    help: str


class Permissions(msgspec.Struct):
    data: list[Permission]


def add_routes(app: web.Application) -> None:
    settings = partial(Route, permission="settings.manage", tag="Access")
    one, role = "/api/api-keys/{key}", "/api/roles/{name}"
    declare(
        app,
        [
            settings(method="GET", path="/api/api-keys", handler=_index, summary="List keys", answer=Keys),
            settings(
                method="POST",
                path="/api/api-keys",
                handler=_create,
                summary="Make a key; the only answer that holds it",
                body=NewKey,
                answer=MadeKey,
                status=201,
                refuses=(409,),
            ),
            settings(
                method="PATCH",
                path=one,
                handler=_change,
                summary="Change a key",
                body=KeyChange,
                answer=Key,
                refuses=(409,),
            ),
            settings(
                method="POST",
                path=f"{one}/rotate",
                handler=_rotate,
                summary="A new secret for a key",
                body=Rotation,
                body_required=False,
                answer=MadeKey,
                refuses=(409,),
            ),
            settings(method="DELETE", path=one, handler=_revoke, summary="Revoke a key", status=204),
            settings(
                method="GET",
                path="/api/permissions",
                handler=_permissions,
                summary="List what can be permitted",
                answer=Permissions,
            ),
            settings(method="GET", path="/api/roles", handler=_roles, summary="List roles", answer=Roles),
            settings(
                method="POST",
                path="/api/roles",
                handler=_create_role,
                summary="Make a role of your own",
                body=NewRole,
                answer=Role,
                status=201,
                refuses=(409,),
            ),
            settings(
                method="PATCH",
                path=role,
                handler=_change_role,
                summary="Change what a role may do",
                body=RoleChange,
                answer=Role,
                refuses=(409,),
            ),
            settings(
                method="DELETE",
                path=role,
                handler=_remove_role,
                summary="Remove a role that nobody has",
                status=204,
                refuses=(409,),
            ),
        ],
    )


async def _index(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await list_keys(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _create(request: web.Request) -> web.Response:
    body = given(await body_as(request, NewKey))
    async with writing(request) as session:
        row, key = await create_key(session, giver=holder(request), strict=True, **body)
    keep_no_answer(request)
    return answer({**row, "key": key}, 201)


async def _change(request: web.Request) -> web.Response:
    body = given(await body_as(request, KeyChange))
    async with writing(request) as session:
        row = await change_key(session, request.match_info["key"], body, giver=holder(request), strict=True)
    request.app[GATE].forget()
    return answer(row)


async def _rotate(request: web.Request) -> web.Response:
    body = await body_as(request, Rotation, optional=True)
    async with writing(request) as session:
        row, key = await rotate_key(session, request.match_info["key"], body.grace_s, giver=holder(request))
    request.app[GATE].forget()
    keep_no_answer(request)
    return answer({**row, "key": key})


async def _revoke(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await revoke_key(session, request.match_info["key"])
    request.app[GATE].forget()
    return web.Response(status=204)


async def _permissions(_request: web.Request) -> web.Response:
    kinds = {name: f"{'See' if name.endswith('.read') else 'Change'} rows of this kind." for name in known()}
    return answer({"data": [{"name": name, "help": text} for name, text in sorted({**kinds, **FIXED}.items())]})


async def _roles(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await roles.list_roles(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _create_role(request: web.Request) -> web.Response:
    body = await body_as(request, NewRole)
    async with writing(request) as session:
        row = await roles.create_role(session, body.name, body.permissions, holder(request))
    return answer(row, 201)


async def _change_role(request: web.Request) -> web.Response:
    body = await body_as(request, RoleChange)
    async with writing(request) as session:
        row = await roles.change_role(session, request.match_info["name"], body.permissions, holder(request))
    request.app[GATE].forget()
    return answer(row)


async def _remove_role(request: web.Request) -> web.Response:
    async with writing(request) as session:
        await roles.remove_role(session, request.match_info["name"])
    return web.Response(status=204)
