"""How long audio is kept: the longest of what matches, a hold before all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.decide.retention import DAY_MS, Kept, Rule, kept, label, labels_of, rule_for

pytestmark = pytest.mark.unit

ENDED = 1_700_000_000_000
labels = st.sampled_from(["converted", "disputed", "vip", "follow-up", "sold"])
days = st.integers(0, 3650)
rules = st.builds(
    Rule,
    id=st.integers(1, 9),
    days=st.none() | days,
    exceptions=st.dictionaries(labels, days | st.just("forever"), max_size=4),
)


@pytest.mark.parametrize(
    ("found", "until", "why"),
    [
        ((), 90, "rule 1: 90 days"),
        (("converted",), 180, "rule 1, converted: 180 days"),
        (("vip",), 90, "rule 1: 90 days"),  # an exception never shortens
        (("converted", "disputed"), None, "rule 1, disputed"),
        (("unheard-of",), 90, "rule 1: 90 days"),
    ],
)
def test_the_longest_that_matches_wins(found: tuple[str, ...], until: int | None, why: str):
    rule = Rule(1, None, 90, {"disputed": "forever", "converted": 180, "vip": 30})
    assert kept(rule, found, ENDED, held=False) == Kept(None if until is None else ENDED + until * DAY_MS, why)


def test_a_hold_beats_all_and_without_a_rule_nothing_goes():
    assert kept(Rule(1, None, 0), (), ENDED, held=True) == Kept(None, "legal hold")
    assert kept(None, (), ENDED, held=False) == Kept(None, "no rule")


def test_time_is_up_at_the_end_of_the_last_day():
    due = kept(Rule(1, None, 2), (), ENDED, held=False)
    assert not due.over(ENDED + 2 * DAY_MS - 1)
    assert due.over(ENDED + 2 * DAY_MS)
    assert kept(Rule(1, None, 0), (), ENDED, held=False).over(ENDED)


def test_a_campaigns_own_rule_goes_before_the_one_for_all():
    of_all, own = Rule(1, None, 30), Rule(2, 7, 60)
    assert rule_for([of_all, own], 7) is own
    assert rule_for([of_all, own], 8) is of_all
    assert rule_for([of_all, own], None) is of_all
    assert rule_for([own], 8) is None


@given(rules, st.sets(labels))
def test_it_is_the_longest_of_all_that_matches(rule: Rule, found: set[str]):
    wanted = [rule.days, *(rule.exceptions[each] for each in found if each in rule.exceptions)]
    until = kept(rule, found, ENDED, held=False).until
    if None in wanted or "forever" in wanted:
        assert until is None
    else:
        assert until == ENDED + max(each for each in wanted if isinstance(each, int)) * DAY_MS


@given(rules, st.sets(labels), labels)
def test_one_label_more_never_shortens(rule: Rule, found: set[str], more: str):
    before, after = (kept(rule, each, ENDED, held=False).until for each in (found, {*found, more}))
    assert after is None or (before is not None and before <= after)


def test_labels_have_one_spelling():
    assert labels_of(["Quality issue", "VIP"], "Follow_Up", converted=True) == {
        "quality-issue",
        "vip",
        "follow-up",
        "converted",
    }
    assert label(" Not  interested ") == "not-interested"
