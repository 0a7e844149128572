"""Names, patterns, and who may hand on what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcx_ari.services.errors import Invalid
from dcx_ari.services.holder import granted, parse_address, parse_networks, within
from dcx_ari.services.permissions import BUILT_IN, SCOPED, allows, check_patterns, covers, known, matches

pytestmark = pytest.mark.unit
PATTERNS = st.sets(st.sampled_from(["*", "*.read", "*.write", "calls.*", "campaigns.*", *sorted(known())]), max_size=5)


@pytest.mark.parametrize(
    ("pattern", "name", "wanted"),
    [
        ("*", "settings.manage", True),
        ("campaigns.*", "campaigns.write", True),
        ("campaigns.*", "campaign_buyers.write", False),
        ("calls.*", "calls.recording.listen", True),
        ("*.read", "buyers.read", True),
        ("*.read", "calls.view", False),
        ("*.listen", "calls.recording.listen", False),
        ("calls.view", "calls.view", True),
        ("calls.view", "calls.viewer", False),
        ("calls", "calls.view", False),
    ],
)
def test_patterns(pattern: str, name: str, wanted: bool):
    assert matches(pattern, name) is wanted


def test_everybody_may_ask_about_himself_and_nobody_without_a_role_anything_else():
    assert allows((), "self")
    assert not any(allows((), name) for name in known())


@given(PATTERNS, PATTERNS)
def test_nobody_hands_on_what_he_does_not_have(giver: set[str], wanted: set[str]):
    if covers(giver, wanted):
        assert {name for name in known() if allows(wanted, name)} <= {name for name in known() if allows(giver, name)}
        assert "*" not in wanted or "*" in giver
    assert covers(giver, giver)


def test_a_role_of_ones_own_names_what_there_is():
    assert check_patterns(["campaigns.*", "calls.view", "calls.view"]) == ["calls.view", "campaigns.*"]
    for wrong in (["calls.fly"], ["campain.*"], ["self"], [""], ["**"], []):
        with pytest.raises(Invalid):
            check_patterns(wrong)


@pytest.mark.parametrize("role", BUILT_IN)
def test_a_scoped_holder_has_no_more_than_what_is_scoped(role: str):
    assert granted(BUILT_IN[role], scoped=True) <= SCOPED | {"self"}
    assert not allows(granted(BUILT_IN[role], scoped=True), "settings.manage")


@pytest.mark.parametrize(
    ("address", "network", "inside"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.8", "203.0.113.7", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db9::1", "2001:db8::/32", False),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "::/0", False),
        ("fe80::1%eth0", "fe80::/10", True),
    ],
)
def test_networks(address: str, network: str, inside: bool):
    found = parse_address(address)
    assert found is not None
    assert within(found, parse_networks([network])) is inside


@pytest.mark.parametrize("text", [None, "", "unix", "10.0.0", "10.0.0.1:80", "<script>", "1" * 500])
def test_what_is_no_address(text: str | None):
    assert parse_address(text) is None
