"""For those who hold a key of a campaign and no other: tell of callers to come, ask for numbers."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from dcx_ari.api.access import bearer, problem
from dcx_ari.api.context import actor, answer, body_object, writing
from dcx_ari.api.routes import Route, declare
from dcx_ari.api.shapes import TEXT, YES_NO, fields, list_of
from dcx_ari.services.audit import Actor
from dcx_ari.services.campaign_keys import Campaign, KeyKind, campaign_of
from dcx_ari.services.errors import Conflict
from dcx_ari.services.leads import Lead, WantedNumber, assign_number, numbers_of, take_lead
from dcx_ari.services.posting_docs import LEADS, NUMBERS
from dcx_ari.store.db import Session

_NUMBER = fields(phone_number=TEXT, free=YES_NO)
_TRIES = 2


class _NoKey(Exception):
    """The request carries no key of a campaign of this kind."""


def add_routes(app: web.Application) -> None:
    declare(
        app,
        [
            Route(
                method="POST",
                path=LEADS,
                handler=_lead,
                summary="Tell of a caller to come. Authorization: Bearer, with a campaign's leads key.",
                permission=None,
                tag="posting",
                body=Lead,
                answer=fields(accepted=YES_NO, phone_number=TEXT, campaign=TEXT),
                status=201,
                refuses=(401, 409),
            ),
            Route(
                method="GET",
                path=NUMBERS,
                handler=_index,
                summary="The campaign's numbers. Authorization: Bearer, with a campaign's numbers key.",
                permission=None,
                tag="posting",
                answer=list_of(_NUMBER),
                refuses=(401,),
            ),
            Route(
                method="POST",
                path=NUMBERS,
                handler=_assign,
                summary="Have a free number for a source. Authorization: Bearer, with a campaign's numbers key.",
                permission=None,
                tag="posting",
                body=WantedNumber,
                answer=_NUMBER,
                refuses=(401, 404, 409),
            ),
        ],
    )


async def _lead(request: web.Request) -> web.Response:
    body = await body_object(request)
    for left in reversed(range(_TRIES)):
        try:
            async with writing(request) as session:
                campaign = await _campaign(request, session, "leads")
                return answer(await take_lead(session, campaign, body), 201)
        except _NoKey:
            return _unknown("leads")
        except Conflict:  # two leads of one person at once: the second finds the first
            if not left:
                raise
    raise AssertionError("unreachable")


async def _index(request: web.Request) -> web.Response:
    try:
        async with writing(request) as session:
            found = await numbers_of(session, await _campaign(request, session, "numbers"))
    except _NoKey:
        return _unknown("numbers")
    return answer({"data": found, "next_cursor": None, "total": len(found)})


async def _assign(request: web.Request) -> web.Response:
    body = await body_object(request)
    try:
        async with writing(request) as session:
            return answer(await assign_number(session, await _campaign(request, session, "numbers"), body))
    except _NoKey:
        return _unknown("numbers")


async def _campaign(request: web.Request, session: Session, kind: KeyKind) -> Campaign:
    """Whose key it is; from here on the session acts in its name. Raises _NoKey."""
    token = bearer(request)
    campaign = await campaign_of(session, kind, token) if token is not None else None
    if campaign is None:
        raise _NoKey
    who = Actor("key", f"{kind} key of campaign {campaign.id}", f"{kind} key of {campaign.name}")
    session.info["actor"] = replace(who, address=actor(request).address)
    return campaign


def _unknown(kind: KeyKind) -> web.Response:
    rule = f"the {kind} key of a campaign is needed: Authorization: Bearer KEY"
    return problem("Authorization", rule, 401, {"WWW-Authenticate": "Bearer"})
