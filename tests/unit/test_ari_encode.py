"""From typed arguments to requests; nothing a caller or a configuration holds can change the path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.ari.encode import argument, segment
from dcx_ari.ari.errors import ServerFault
from dcx_ari.ari.resources import Ari
from dcx_ari.ari.transport import Request, Session

pytestmark = pytest.mark.unit


class Sent:
    """A transport that remembers the last request and answers with given bytes."""

    def __init__(self, answer: bytes = b"") -> None:
        self.answer = answer
        self.last = Request("", "")

    async def request(self, request: Request) -> bytes:
        self.last = request
        return self.answer

    def sessions(self) -> AsyncIterator[Session]:
        return cast("AsyncIterator[Session]", self)

    async def close(self) -> None: ...


@given(st.text(min_size=1).filter(lambda text: text not in (".", "..")))
def test_a_segment_never_holds_a_separator_and_says_the_same(text: str) -> None:
    encoded = segment(text)
    assert not set(encoded) & set("/?#+ %") - {"%"}
    assert unquote(encoded) == text


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_a_segment_that_would_name_another_resource_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be part"):
        segment(text)


def test_arguments_are_written_as_asterisk_reads_them() -> None:
    assert [argument(value) for value in ("a,b", True, False, 0, ["a", "b"], ())] == [
        "a,b",
        "true",
        "false",
        "0",
        "a,b",
        "",
    ]
    with pytest.raises(ValueError, match="comma"):
        argument(["PJSIP_HEADER(read,X)"])


async def test_arguments_that_are_not_given_are_not_sent() -> None:
    sent = Sent()
    ari = Ari(sent)
    await ari.channels.hangup("a/b", reason_code="26")
    assert sent.last == Request("DELETE", "channels/a%2Fb", {"reason_code": "26"})
    await ari.channels.dial("a", timeout_s=30)
    assert sent.last == Request("POST", "channels/a/dial", {"timeout": "30"}, order="a")
    await ari.bridges.add_channel("b", channel=["x", "y"], mute=False)
    assert sent.last == Request(
        "POST", "bridges/b/addChannel", {"channel": "x,y", "mute": "false"}, blocking=True, order="x,y"
    )
    await ari.channels.set_channel_vars("a", variables={"V": "1"})
    assert sent.last.body == {"variables": {"V": "1"}}
    sent.answer = b"[]"
    with pytest.raises(ServerFault):
        await ari.bridges.create(variables={"V": "1"})
    assert sent.last.body == {"V": "1"}  # not what the description says, but what 22.10.1 reads
    await ari.events.user_event("e", application="dcx")
    assert sent.last.body is None


async def test_a_body_that_is_an_object_is_sent_as_it_is() -> None:
    sent = Sent(b"{}")
    with pytest.raises(ServerFault, match="does not fit"):
        await Ari(sent).applications.filter("dcx", filter={"disallowed": []})
    assert sent.last.body == {"disallowed": []}


async def test_python_words_are_renamed_on_this_side_only() -> None:
    sent = Sent()
    await Ari(sent).endpoints.send_message(to="pjsip:a", from_="b", body="hi")
    assert sent.last.query == {"to": "pjsip:a", "from": "b", "body": "hi"}


async def test_what_can_wait_behind_a_playback_is_marked() -> None:
    sent = Sent(b'{"value":"","variables":{}}')
    ari, marked = Ari(sent), []
    for name, call in {
        "answer": ari.channels.answer("c"),
        "add": ari.bridges.add_channel("b", channel="c"),
        "remove": ari.bridges.remove_channel("b", channel="c"),
        "set": ari.channels.set_channel_var("c", variable="V", value="1"),
        "sets": ari.channels.set_channel_vars("c", variables={}),
        "file": ari.recordings.get_stored_file("r"),
        "get": ari.channels.get_channel_var("c", variable="V"),
        "ring": ari.channels.ring("c"),
        "hangup": ari.channels.hangup("c"),
        "destroy": ari.bridges.destroy("b"),
    }.items():
        await call
        if sent.last.blocking:
            marked.append(name)
    assert marked == ["answer", "add", "remove", "set", "sets", "file"]
