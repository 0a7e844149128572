"""How to post leads to a campaign and ask it for numbers, as data and as text.

Made for outsiders too (`enable_public_posting`): it says nothing of keys, buyers, prices or other campaigns.
"""

from __future__ import annotations

import json
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.services.errors import NotFound
from dcx_ari.services.find import find_id
from dcx_ari.services.leads import Lead, WantedNumber
from dcx_ari.services.resources import RESOURCES
from dcx_ari.store.models import Campaign

LEADS, NUMBERS = "/api/leads", "/api/posting/numbers"
_EXAMPLE_LEAD = {
    "phone_number": "+15551234567",
    "first_name": "Ann",
    "tags": ["summer"],
    "custom": {"zip": "10001"},
}


def posting_docs(campaign: Campaign) -> dict[str, Any]:
    """Endpoints with their fields, examples and answers."""
    return {
        "campaign": campaign.name,
        "vertical": campaign.vertical,
        "authorization": "Authorization: Bearer KEY, with the campaign's leads key or numbers key",
        "endpoints": [
            _endpoint("POST", LEADS, "leads", "Tell us of a caller to come", Lead, _EXAMPLE_LEAD, _lead_answers()),
            _endpoint("GET", NUMBERS, "numbers", "List the numbers of the campaign", None, None, _list_answers()),
            _endpoint(
                "POST",
                NUMBERS,
                "numbers",
                "Have a free number for a traffic source",
                WantedNumber,
                {"traffic_source": 7},
                _assign_answers(),
            ),
        ],
    }


def as_text(docs: dict[str, Any]) -> str:
    """The same for people, as Markdown."""
    lines = [f"# Posting to {docs['campaign']}", "", docs["authorization"], ""]
    for each in docs["endpoints"]:
        lines += [f"## {each['method']} {each['path']}", "", f"{each['summary']}, with the {each['key']} key.", ""]
        for name, field in each["fields"].items():
            must = ", required" if field["required"] else ""
            lines.append(f"- `{name}` ({field['type']}{must}) {field['help']}".rstrip())
        if each["example"] is not None:
            lines += ["", f"    {json.dumps(each['example'])}"]
        lines += ["", *(f"- {status}: {meaning}" for status, meaning in each["answers"].items()), ""]
    return "\n".join(lines)


async def public_campaign(session: AsyncSession, key: str) -> Campaign:
    """The campaign, if it shows its posting instructions to everybody. Raises NotFound, the same for all else."""
    row_id = await find_id(session, RESOURCES["campaigns"], key)
    row = await session.get(Campaign, row_id) if row_id is not None else None
    if row is None or not row.enable_public_posting or row.status == "ARCHIVED":
        raise NotFound("campaign", "there is no such public page")
    return row


async def public_list(session: AsyncSession) -> list[dict[str, Any]]:
    """The campaigns that may be named to everybody, with the page of those that show one."""
    shown = (col(Campaign.enable_public_list_view).is_(True), col(Campaign.status) == "ACTIVE")
    found = (await session.exec(select(Campaign).where(*shown).order_by(col(Campaign.name)))).all()
    return [
        {
            "name": row.name,
            "vertical": row.vertical,
            "docs": f"/api/campaigns/{row.id}/public-docs" if row.enable_public_posting else None,
        }
        for row in found
    ]


def _endpoint(
    method: str, path: str, key: str, summary: str, body: Any, example: Any, answers: dict[str, str]
) -> dict[str, Any]:
    fields = {} if body is None else body.model_json_schema()["properties"]
    return {
        "method": method,
        "path": path,
        "key": key,
        "summary": summary,
        "fields": {
            name: {
                "type": schema.get("type", "text"),
                "required": body.model_fields[name].is_required(),
                "help": schema.get("description", ""),
            }
            for name, schema in fields.items()
        },
        "example": example,
        "answers": answers,
    }


def _lead_answers() -> dict[str, str]:
    return {
        "201": "accepted",
        "401": "the key is not a leads key",
        "422": "a field breaks a rule: error.field, error.rule",
    }


def _list_answers() -> dict[str, str]:
    return {"200": "data: each number, and whether it is free", "401": "the key is not a numbers key"}


def _assign_answers() -> dict[str, str]:
    return {
        "200": "the number, now the source's",
        "401": "the key is not a numbers key",
        "404": "there is no such source",
        "409": "no number is free, or number_limit_exceeded",
    }
