"""What only campaigns have: their two keys, and the instructions that go with them."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from dcx_ari.api.context import answer, context, holder, writing
from dcx_ari.api.idempotency import keep_no_answer
from dcx_ari.api.routes import Param, Route, declare
from dcx_ari.api.shapes import TEXT, fields, list_of, nullable
from dcx_ari.services.campaign_keys import has_keys, make_keys, of_campaigns
from dcx_ari.services.find import find
from dcx_ari.services.posting_docs import as_text, posting_docs, public_campaign, public_list
from dcx_ari.services.resources import RESOURCES

CAMPAIGNS = RESOURCES["campaigns"]
_KEYS = fields(campaign_id={"type": "integer"}, leads_api_key=nullable(TEXT), numbers_api_key=nullable(TEXT))
_DOCS = fields(
    campaign=TEXT, vertical=TEXT, authorization=TEXT, endpoints={"type": "array", "items": {"type": "object"}}
)
_FORMAT = {"format": Param("json, or text for people (Markdown).", {"type": "string", "enum": ["json", "text"]})}


def add_routes(app: web.Application) -> None:
    one = "/api/campaigns/{key}"
    tag = "campaigns"
    declare(
        app,
        [
            Route(
                method="POST",
                path=f"{one}/regenerate-keys",
                handler=_regenerate,
                summary="New leads and numbers keys; the old ones stop at once. Shown this once.",
                permission="campaigns.write",
                tag=tag,
                answer=_KEYS,
            ),
            Route(
                method="GET",
                path=f"{one}/api-docs",
                handler=_docs,
                summary="How to post leads and get numbers. Makes the keys where there are none, and shows them once.",
                permission="campaigns.read",
                tag=tag,
                query=_FORMAT,
                answer={**_DOCS, "properties": {**_DOCS["properties"], "keys": _KEYS}},
            ),
            Route(
                method="GET",
                path=f"{one}/public-docs",
                handler=_public_docs,
                summary="The posting instructions, for everybody, where the campaign shows them.",
                permission=None,
                tag=tag,
                query=_FORMAT,
                answer=_DOCS,
                refuses=(404,),
            ),
            Route(
                method="GET",
                path="/api/public-campaigns",
                handler=_public_list,
                summary="Campaigns that may be named to everybody.",
                permission=None,
                tag=tag,
                answer=list_of(fields(name=TEXT, vertical=TEXT, docs=nullable(TEXT))),
            ),
        ],
    )


async def _regenerate(request: web.Request) -> web.Response:
    async with writing(request) as session:
        campaign: Any = await find(session, CAMPAIGNS, request.match_info["key"], lock=True)
        made = await make_keys(session, campaign)
    keep_no_answer(request)
    return answer({"campaign_id": campaign.id, **made})


async def _docs(request: web.Request) -> web.Response:
    key = request.match_info["key"]
    async with context(request).database.read() as session:
        campaign: Any = await find(session, CAMPAIGNS, key)
        known = await has_keys(session, campaign)
        keys = dict((await of_campaigns(session, [campaign]))[campaign.id])
    if not known and holder(request).may("campaigns.write") and request.method == "GET":  # HEAD would lose them
        async with writing(request) as session:
            campaign = await find(session, CAMPAIGNS, key, lock=True)
            if not await has_keys(session, campaign):
                keys = dict(await make_keys(session, campaign))
    docs = posting_docs(campaign)
    return _shown(request, docs, {"keys": {"campaign_id": campaign.id, **keys}})


async def _public_docs(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        return _shown(request, posting_docs(await public_campaign(session, request.match_info["key"])), {})


def _shown(request: web.Request, docs: dict[str, Any], more: dict[str, Any]) -> web.Response:
    if request.query.get("format") == "text":
        return web.Response(text=as_text(docs), content_type="text/markdown")
    return answer({**docs, **more})


async def _public_list(request: web.Request) -> web.Response:
    async with context(request).database.read() as session:
        found = await public_list(session)
    return answer({"data": found, "next_cursor": None, "total": len(found)})
