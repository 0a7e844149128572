"""The flow of every inbound call: find the number, then walk its flow, its campaign or its destination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dcx_ari.call.call import Call
from dcx_ari.call.runner import Flow
from dcx_ari.decide.causes import Cause
from dcx_ari.decide.geography import locate
from dcx_ari.decide.rows import Number
from dcx_ari.flows.document import Document
from dcx_ari.flows.nodes.forward import Forward
from dcx_ari.flows.nodes.route import Route
from dcx_ari.flows.walk import walk

Documents = Callable[[int, int | None], Awaitable[tuple[Document, int] | None]]
"""A flow document and its version by flow id: the newest that is published, or the version that is asked for."""

_NOT_IN_SERVICE = "ss-noservice"
_ROUTE = Document(start="route", nodes={"route": Route()})


def inbound(documents: Documents, fresh: Callable[[], Awaitable[None]], start: str | None = None) -> Flow:
    """The flow that the exchange runs for each new call. `fresh` brings the configuration up to date.

    `start`: the node to begin with, for a caller who has been there before.
    """

    async def flow(call: Call) -> None:
        await fresh()
        number = call.ports.desk.snapshot().number(call.facts.dialled)
        if number is None or number.status != "ACTIVE":
            await _not_in_service(call)
            return
        flow_id, document, version = await _document(call, number, documents)
        call.flow_id, call.flow_version = flow_id, version
        _describe(call, number)
        await walk(call, document, start if start in document.nodes else None)

    return flow


async def _document(call: Call, number: Number, documents: Documents) -> tuple[int | None, Document, int | None]:
    """What the call began with before; else the number's flow, else its destination, else its campaign's flow, else
    straight to the buyers.
    """
    snapshot = call.ports.desk.snapshot()
    if call.flow_id is not None and (found := await documents(call.flow_id, call.flow_version)) is not None:
        return call.flow_id, *found
    campaign = snapshot.campaigns.get(number.campaign_id or 0)
    for flow_id in (number.flow_id, campaign.flow_id if campaign and not number.forward_to else None):
        if flow_id is not None and (found := await documents(flow_id, None)) is not None:
            return flow_id, *found
    if number.forward_to:
        node = Forward(
            to=(number.forward_to,),
            ring_timeout_s=number.ring_timeout_s,
            pass_caller_id=number.pass_caller_id,
        )
        return None, Document(start="forward", nodes={"forward": node}), None
    return None, _ROUTE, None


def _describe(call: Call, number: Number) -> None:
    """Who brought the call: kept with the row, and said in whispers as {{source}}, {{campaign}}…"""
    snapshot = call.ports.desk.snapshot()
    campaign = snapshot.campaigns.get(number.campaign_id or 0)
    source = snapshot.sources.get(number.traffic_source_id or 0)
    call.shown_number = call.facts.caller if number.pass_caller_id else number.phone_number
    call.tag(
        caller=call.facts.caller,
        number=number.phone_number,
        campaign=campaign.name if campaign else "",
        source=source.name if source else "",
        state=locate(call.facts.caller).state or "",
    )
    call.ports.journal.update(
        call.id,
        number_id=number.id,
        campaign_id=number.campaign_id,
        traffic_source_id=number.traffic_source_id,
        flow_id=call.flow_id,
        flow_version=call.flow_version,
    )


async def _not_in_service(call: Call) -> None:
    """Heard as early media, so that the carrier need not charge for it; then Q.850 cause 1."""
    call.failure_reason = "no_number"
    call.note_stage("not_in_service")
    call.end(Cause.UNALLOCATED)
    await call.play(f"sound:{_NOT_IN_SERVICE}")
