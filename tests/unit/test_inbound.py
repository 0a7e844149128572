"""Odd callers: whatever a SIP peer sends becomes an `Inbound`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from dcx_ari.ari.decode import decode_event
from dcx_ari.ari.events import StasisStart
from dcx_ari.call.inbound import parse_inbound
from dcx_ari.call.ports import Inbound
from dcx_ari.decide.phone import normalise

pytestmark = pytest.mark.unit


def _arrives(
    fields: dict[str, str], *, number: str = "+12125550100", name: str = "", raw: bytes = b""
) -> Inbound | None:
    channel: dict[str, Any] = {
        "id": "1.1",
        "name": "PJSIP/trunk-1-00000001",
        "state": "Ring",
        "protocol_id": "abc@host",
        "caller": {"name": name, "number": number},
        "connected": {"name": "", "number": ""},
        "accountcode": "",
        "dialplan": {
            "context": "from-trunk",
            "exten": "s",
            "priority": 1,
            "app_name": "Stasis",
            "app_data": "",
        },
        "creationtime": "2026-11-20T10:00:00.000+0000",
        "language": "en",
    }
    event = {
        "type": "StasisStart",
        "application": "dcx-0",
        "timestamp": "2026-11-20T10:00:00.000+0000",
        "args": ["in", urlencode(fields)],
        "channel": channel,
    }
    encoded = msgspec.json.encode(event).replace(b"RAWNAME", raw)
    decoded = decode_event(encoded)
    assert isinstance(decoded, StasisStart)
    return parse_inbound(decoded)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+12125550100", "+12125550100"),
        ("12125550100", "+12125550100"),
        ("2125550100", "+12125550100"),
        ("442079460000", "+442079460000"),
        ("", ""),
        ("anonymous", "anonymous"),
        ("1" * 40, "1" * 40),
        ("sip:bob", "sip:bob"),
    ],
)
def test_numbers_are_brought_to_e164_where_that_is_certain(text: str, number: str) -> None:
    assert normalise(text) == number


def test_empty_user_part_and_no_caller_id() -> None:
    call = _arrives({"to": ""}, number="")
    assert call is not None
    assert (call.dialled, call.caller, call.caller_name) == ("", "", "")
    assert call.headers["call-id"] == "abc@host"


def test_headers_with_commas_quotes_and_line_breaks_stay_values() -> None:
    call = _arrives({"to": "+12125550100", "x-track": 'a,"b"\r\nVia: evil', "from": '"A, B" <sip:a@b>'})
    assert call is not None
    assert call.headers["x-track"] == 'a,"b"Via: evil'
    assert call.headers["from"] == '"A, B" <sip:a@b>'


def test_a_latin1_name_is_mended_and_a_long_one_cut() -> None:
    call = _arrives({"to": "1"}, name="RAWNAME", raw="José".encode("latin-1"))
    assert call is not None
    assert call.caller_name.startswith("Jos")
    long = _arrives({"to": "1"}, name="x" * 5000)
    assert long is not None
    assert len(long.caller_name) == 255


def test_our_own_legs_are_not_calls() -> None:
    event = decode_event(
        b'{"type":"StasisStart","application":"dcx-0","timestamp":"2026-11-20T10:00:00.000+0000","args":["leg"],'
        b'"channel":{"id":"x.leg1","name":"n","state":"Down","protocol_id":"","caller":{"name":"","number":""},'
        b'"connected":{"name":"","number":""},"accountcode":"","dialplan":{"context":"","exten":"","priority":1,'
        b'"app_name":"","app_data":""},"creationtime":"2026-11-20T10:00:00.000+0000","language":"en"}}'
    )
    assert isinstance(event, StasisStart)
    assert parse_inbound(event) is None
