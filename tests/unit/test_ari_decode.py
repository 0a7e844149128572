"""From a frame to an event: the known, the unknown and the broken."""

from __future__ import annotations

import logging

import msgspec
import pytest
from ari_server import event

from dcx_ari.ari import decode, events
from dcx_ari.ari.decode import decode_event, epoch_ms
from dcx_ari.ari.events import ChannelDestroyed, StasisStart, UnknownEvent

pytestmark = pytest.mark.unit

# As 22.10.1 sent it; `weather` is what a later version may add.
STASIS_START = b"""{"type":"StasisStart","timestamp":"2026-11-20T23:42:21.497+0000","args":["in"],
"channel":{"id":"1795218141.5","name":"PJSIP/trunk-00000001","state":"Ring","protocol_id":"1-9701@127.0.0.1",
"caller":{"name":"","number":"+12125550100"},"connected":{"name":"","number":""},"accountcode":"",
"dialplan":{"context":"in","exten":"100","priority":2,"app_name":"Stasis","app_data":"dcx,in"},
"creationtime":"2026-11-20T23:42:21.490+0000","language":"en","channelvars":{"ROLE":"caller"},"weather":"fine"},
"asterisk_id":"02:fc:00:00:00:01","application":"dcx","weather":{"rain":false}}"""


def test_a_known_event_is_typed_and_what_is_not_sent_is_none() -> None:
    start = decode_event(STASIS_START)
    assert isinstance(start, StasisStart)
    assert start.args == ["in"]
    assert start.channel.caller.number == "+12125550100"
    assert start.channel.channelvars == {"ROLE": "caller"}
    assert start.replace_channel is None
    assert start.channel.caller_rdnis is None


def test_an_event_survives_the_way_out_and_back() -> None:
    start = decode_event(STASIS_START)
    assert decode_event(msgspec.json.encode(start)) == start


def test_every_event_of_the_description_is_told_apart_by_its_type() -> None:
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)]
    for kind in set(kinds) - {events.Event, UnknownEvent}:
        if all(name in ("asterisk_id", "application", "timestamp") for name in kind.__struct_fields__):
            assert type(decode_event(event(kind.__name__).encode())) is kind
        else:
            with pytest.raises(msgspec.ValidationError, match="missing required field"):
                decode._EVENTS.decode(event(kind.__name__))


def test_an_unknown_type_is_kept_raw() -> None:
    unknown = decode_event(event("ChannelTeleported", where="Mars").encode())
    assert isinstance(unknown, UnknownEvent)
    assert (unknown.kind, unknown.application, unknown.raw["where"]) == ("ChannelTeleported", "dcx", "Mars")


def test_a_known_type_in_another_shape_is_kept_raw_and_reported_without_its_values(
    caplog: pytest.LogCaptureFixture,
) -> None:
    odd = decode_event(event("ChannelDestroyed", cause="17", cause_txt="+12125550100").encode())
    assert isinstance(odd, UnknownEvent)
    assert odd.kind == ChannelDestroyed.__name__
    assert "$.cause" in caplog.text
    assert "+12125550100" not in caplog.text


@pytest.mark.parametrize("frame", [b"", b"{", b"[1]", b"\xff\xfe", b'"StasisStart"', b'{"type":"X","a":"\\ud800"}'])
def test_what_is_no_json_object_is_logged_and_skipped(frame: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        assert decode_event(frame) is None
    assert f"{len(frame)} bytes" in caplog.text


def test_latin_1_in_a_name_is_replaced_and_the_event_kept() -> None:
    start = decode_event(STASIS_START.replace(b'"name":"","number":"+1', b'"name":"Jos\xe9","number":"+1'))
    assert isinstance(start, StasisStart)
    assert start.channel.caller.name == "Jos\ufffd"


def test_dates_become_epoch_milliseconds_in_any_zone() -> None:
    assert epoch_ms("2026-11-20T10:00:00.123+0000") == 1795168800123
    assert epoch_ms("2026-11-20T05:00:00.123-0500") == 1795168800123
