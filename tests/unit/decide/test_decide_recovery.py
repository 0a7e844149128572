"""Every combination of what a row says and what Asterisk shows."""

from __future__ import annotations

import itertools

import pytest

from dcx_ari.decide.recovery import Enter, Finish, Hangup, Known, Live, Talk, recover

pytestmark = pytest.mark.unit

CALL, CALLER = "01kcall", "1763.1"
LEG, BRIDGE = f"{CALL}.leg1", f"{CALL}.bridge1"
STAGES = ("arrived", "menu", "route", "ringing", "whispering", "talking", "voicemail")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("caller", [True, False])
@pytest.mark.parametrize("leg", [None, "Ringing", "Up"])
@pytest.mark.parametrize("bridge", [None, "both", "caller", "empty"])
@pytest.mark.parametrize("restarted", [True, False])
def test_every_combination(stage: str, caller: bool, leg: str | None, bridge: str | None, restarted: bool) -> None:
    channels = {CALLER: "Up"} if caller else {}
    if leg is not None:
        channels[LEG] = leg
    members = {"both": {CALLER, LEG}, "caller": {CALLER}, "empty": set[str]()}
    bridges = {BRIDGE: frozenset(members[bridge])} if bridge else {}
    talked = LEG if stage == "talking" else None
    row = Known(CALLER, stage, "shop", talked)
    verdict = recover(CALL, row, Live(channels, bridges), restarted=restarted)
    ours = {LEG} & set(channels)
    if not caller:
        assert isinstance(verdict, Finish)
        assert verdict.node_lost is restarted
        assert verdict.talked == talked
        assert set(verdict.release) == ours
    elif bridge == "both" and leg == "Up" and stage in ("ringing", "whispering", "talking"):
        assert verdict == Talk(LEG, BRIDGE)
    elif talked and leg is None:
        assert verdict == Talk(LEG, None, (), tuple(bridges))
    else:
        assert isinstance(verdict, Enter)
        assert verdict.node == "shop"
        assert set(verdict.release) == ours
        assert set(verdict.clear) == set(bridges)


@pytest.mark.parametrize(("leg", "bridge"), [*itertools.product((True, False), repeat=2)])
def test_without_a_row_everything_of_the_call_is_put_away(leg: bool, bridge: bool) -> None:
    live = Live({LEG: "Up"} if leg else {}, {BRIDGE: frozenset()} if bridge else {})
    verdict = recover(CALL, None, live, restarted=False)
    assert verdict == Hangup((LEG,) if leg else (), (BRIDGE,) if bridge else ())


def test_other_calls_are_left_alone() -> None:
    live = Live(
        {CALLER: "Up", LEG: "Up", "01kother.leg1": "Up"},
        {BRIDGE: frozenset({CALLER, LEG}), "01kother.bridge1": frozenset({"01kother.leg1"})},
    )
    assert recover(CALL, Known(CALLER, "talking", None, LEG), live, restarted=False) == Talk(LEG, BRIDGE)


def test_the_losers_of_a_simultaneous_ring_are_released() -> None:
    live = Live(
        {CALLER: "Up", LEG: "Up", f"{CALL}.leg2": "Ringing"},
        {BRIDGE: frozenset({CALLER, LEG}), f"{CALL}.bridge2": frozenset()},
    )
    verdict = recover(CALL, Known(CALLER, "ringing", None), live, restarted=False)
    assert verdict == Talk(LEG, BRIDGE, (f"{CALL}.leg2",), (f"{CALL}.bridge2",))


def test_the_leg_that_the_stage_names_has_the_money() -> None:
    row = Known(CALLER, "talking", None, f"{CALL}.leg2")
    verdict = recover(CALL, row, Live(), restarted=True)
    assert verdict == Finish(f"{CALL}.leg2", True)
