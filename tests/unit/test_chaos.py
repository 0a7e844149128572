"""The judge of a chaos run: each broken promise is seen, and what is excused is not called one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from chaos.blows import WEIGHTS, kinds_of, plan
from chaos.check import summary, violations
from chaos.records import Blow, CallSeen, Evidence, Heard, LegSeen, Row, Told
from chaos.script import buyer_hz, call_of, caller_hz, caller_of
from chaos.seeding import PRICE_CENTS
from chaos.sip import media_of, parse, response, sdp
from chaos.sound import Ear, packets

pytestmark = pytest.mark.unit

TALK_S = 6.0


def heard(begin: float, end: float) -> Heard:
    return Heard(packets=round(50 * (end - begin)), first_at=begin, last_at=end)


def call(n: int, at: float) -> CallSeen:
    """Answered after a second, six of talk, hung up by the caller."""
    ears = heard(at + 1.0, at + 7.0)
    return CallSeen(n, at, at, at + 1, at + 7, "hung up", 200, ears)


def leg(n: int, at: float) -> LegSeen:
    return LegSeen(n, 2, at + 0.1, at + 1, at + 7.05, "told to end", heard(at + 1.0, at + 7.0))


def row(n: int) -> Row:
    return Row(f"c{n}", caller_of(n), "COMPLETED", True, 6000, PRICE_CENTS, "", "dcx-0", ["ready"])


def whole(calls: int = 3) -> Evidence:
    """A run in which nothing went wrong, though a worker was killed."""
    told = [Told(f"m{n}{event}", event, f"c{n}", "x", "delivered") for n in range(calls) for event in EVENTS]
    return Evidence(
        seed=1,
        placed=calls,
        calls=[call(n, 100.0 + n) for n in range(calls)],
        legs=[leg(n, 100.0 + n) for n in range(calls)],
        blows=[Blow("worker-kill", "dcx-0", 104.0, 106.0)],
        rows=[row(n) for n in range(calls)],
        outbox=told,
        received=[*told, told[0]],
        limits={2: (10, 0)},
    )


EVENTS = ("call.started", "call.completed")


def judged(evidence: Evidence) -> list[str]:
    return violations(evidence, TALK_S)


def test_a_run_in_which_all_went_well() -> None:
    assert judged(whole()) == []
    figures = summary(whole(), TALK_S)
    assert (figures["talked"], figures["talking when something was struck"], figures["webhooks told twice"]) == (
        3,
        3,
        1,
    )


def changed_call(evidence: Evidence, **values: object) -> None:
    evidence.calls[0] = replace(evidence.calls[0], **values)


def changed_leg(evidence: Evidence, **values: object) -> None:
    evidence.legs[0] = replace(evidence.legs[0], **values)


def changed_row(evidence: Evidence, **values: object) -> None:
    evidence.rows[0] = replace(evidence.rows[0], **values)


def silent(evidence: Evidence) -> None:
    changed_call(evidence, heard=replace(heard(101.0, 107.0), gaps=[(103.0, 103.9)]))


def unsold(evidence: Evidence) -> None:
    evidence.blows.clear()
    changed_row(evidence, revenue_cents=0)


def one_way(evidence: Evidence) -> None:
    changed_leg(evidence, heard=Heard(packets=300))


def never_connected(evidence: Evidence) -> None:
    changed_call(evidence, heard=None, answered_at=None, end="refused", status=603)
    evidence.legs.pop(0)


def other_content(evidence: Evidence) -> None:
    evidence.received.append(replace(evidence.received[0], content="y"))


def told_under_two_names(evidence: Evidence) -> None:
    evidence.outbox.append(replace(evidence.outbox[1], id="again"))
    evidence.received.append(evidence.outbox[-1])


BROKEN: list[tuple[Callable[[Evidence], object], str]] = [
    (lambda e: e.rows.pop(0), "call 0: has no row"),
    (lambda e: e.rows.append(replace(e.rows[0], id="c9")), "call 0: has 2 rows"),
    (lambda e: e.rows.append(replace(e.rows[0], id="c9", caller=caller_of(77))), "row c9 is of no call"),
    (lambda e: changed_row(e, ended=False), "was never closed"),
    (lambda e: changed_row(e, recordings=["processing"]), "is still processing"),
    (lambda e: changed_row(e, recordings=["failed"]), "a recording of c0 failed"),
    (lambda e: changed_row(e, revenue_cents=2 * PRICE_CENTS), "earned 2000 cents"),
    (unsold, "and no money"),
    (lambda e: changed_row(e, talk_ms=-1), "says it talked -1 ms"),
    (silent, "the caller heard nothing for 0.9 s"),
    (lambda e: changed_leg(e, heard=heard(101.0, 104.0)), "the buyer heard nothing for 3.0 s"),
    (lambda e: changed_call(e, heard=replace(heard(101.0, 107.0), lost=40)), "the caller missed 40 of 340 packets"),
    (one_way, "only one side was heard"),
    (never_connected, "was never connected (refused after 7.0 s, SIP 603"),
    (lambda e: changed_call(e, end="told to end"), "was ended by nobody who was in it"),
    (lambda e: changed_call(e, end="dropped"), "was dropped, though no Asterisk ended"),
    (lambda e: changed_leg(e, ended_at=140.0), "one phone was kept 33 s"),
    (lambda e: changed_leg(e, end="open"), "the phone of buyer 2 was left in it"),
    (lambda e: e.calls.pop(), "3 calls were placed, the phones tell of 2"),
    (lambda e: e.limits.update({2: (2, 0)}), "buyer 2 had 3 calls at a time, the limit is 2"),
    (lambda e: e.limits.update({2: (9, 2)}), "buyer 2 had 3 calls in the day, the cap is 2"),
    (other_content, "came with 2 different contents"),
    (told_under_two_names, "call.completed of c0 was told 2 times"),
    (lambda e: e.received.remove(e.outbox[2]), "(call.started c1) was lost: delivered in the outbox"),
    (lambda e: e.outbox.pop(), "the outbox does not know it"),
    (lambda e: e.ledger.append("ledger: buyer 2 differs"), "ledger: buyer 2 differs"),
    (lambda e: e.left_over.append("a channel"), "a channel"),
    (lambda e: e.complaints.append("dcx up ended by itself"), "dcx up ended by itself"),
]


@pytest.mark.parametrize(("breaks", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_a_broken_promise_is_seen(breaks: Callable[[Evidence], object], words: str) -> None:
    evidence = whole()
    breaks(evidence)
    assert any(words in found for found in judged(evidence)), judged(evidence)


def test_an_asterisk_that_was_killed_excuses_the_sound_and_not_the_row() -> None:
    evidence = whole()
    evidence.blows, evidence.lost = [Blow("asterisk-kill", "", 103.0, 105.0)], [103.0]
    for n in range(3):
        ears = heard(101.0 + n, 103.0)
        evidence.calls[n] = replace(evidence.calls[n], end="dropped", ended_at=103.1, heard=ears)
        evidence.legs[n] = replace(evidence.legs[n], end="dropped", ended_at=103.1, heard=ears)
        evidence.rows[n] = replace(evidence.rows[n], failure="node_lost", revenue_cents=0)
    assert judged(evidence) == []
    evidence.rows.pop()
    assert judged(evidence) != []


@pytest.mark.parametrize(("kind", "excused"), [("postgres-kill", True), ("worker-kill", False), ("redis-kill", False)])
def test_only_some_blows_excuse_a_call_that_was_not_connected(kind: str, excused: bool) -> None:
    evidence = whole()
    never_connected(evidence)
    evidence.blows = [Blow(kind, "", 99.0, 103.0)]
    assert (judged(evidence) == []) is excused


def test_every_kind_of_blow_comes_before_any_comes_twice() -> None:
    kinds = kinds_of([], postgres=True, redis=True)
    drawn = plan(3, kinds, len(kinds), 1.0, 60.0)
    assert {kind for _, kind in drawn} == set(WEIGHTS)
    assert drawn == plan(3, kinds, len(kinds), 1.0, 60.0) != plan(4, kinds, len(kinds), 1.0, 60.0)
    assert all(1.0 <= at <= 60.0 for at, _ in drawn)
    with pytest.raises(ValueError, match="no such blow: work;"):
        kinds_of(["work"], postgres=True, redis=True)


def test_a_tone_is_told_from_its_neighbours_and_from_silence() -> None:
    sound = packets(caller_hz(7))
    ear = Ear(caller_hz(7))
    assert ear.amplitude(b"".join(sound)) == pytest.approx(8000, rel=0.02)
    assert ear.hears(b"".join(sound[4:] + sound[:4]))
    for other in (buyer_hz(7), buyer_hz(6), caller_hz(8)):
        assert not ear.hears(b"".join(packets(other)))
    assert not ear.hears(b"\xff" * 1600)
    assert [call_of(caller_of(n)) for n in (0, 4, 5, 49_999)] == [0, 4, 5, 49_999]


def test_messages_of_sip() -> None:
    invite = parse(
        b"INVITE sip:buyer7@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx\r\n"
        b"From: <sip:+15125570001@127.0.0.1>;tag=a\r\nTo: <sip:buyer7@127.0.0.1>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:asterisk@127.0.0.1:5060>\r\n\r\n" + sdp("127.0.0.1", 4000).encode()
    )
    assert invite is not None
    assert (invite.method, invite.status, invite.branch) == ("INVITE", 0, "z9hG4bKx")
    assert media_of(invite.body) == ("127.0.0.1", 4000)
    answer = parse(response(invite, 200, "OK", "b", body=sdp("127.0.0.2", 4002)))
    assert answer is not None
    assert (answer.status, answer.header("to"), answer.branch) == (200, "<sip:buyer7@127.0.0.1>;tag=b", "z9hG4bKx")
    assert media_of(answer.body) == ("127.0.0.2", 4002)
    assert parse(b"\x00\x00") is None
