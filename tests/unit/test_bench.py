"""The bench's own arithmetic: a wrong percentile or a call counted as whole would flatter us."""

from pathlib import Path

import pytest

from bench import digits, measure, presser, sipp, table

pytestmark = pytest.mark.unit

CHANNEL_STATS = """
                                             ...........Receive......... .........Transmit..........
 BridgeId ChannelId ........ UpTime.. Codec.   Count    Lost Pct  Jitter   Count    Lost Pct  Jitter RTT....
 ===========================================================================================================

 394c194a bench-buyer-000000 00:00:02 ulaw       91       0    0   0.000     91       0    0   0.000   0.000
 394c194a bench-plain-000000 00:00:02 ulaw       91       0    0   0.000      0       0    0   0.000   0.000
 17952181 bench-buyer-000001 00:00:13 ulaw        0       0    0   0.000      7       0    0   0.000   0.000

Objects found: 3
"""
STATISTICS_HEAD = "CurrentTime;SuccessfulCall(P);SuccessfulCall(C);FailedCall(C);\n"


@pytest.mark.parametrize(("percent", "expected"), [(50, 50), (95, 95), (99, 99), (100, 100), (0, 1)])
def test_percentile_is_the_nearest_rank(percent: float, expected: float) -> None:
    assert table.percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_percentile_of_one_value_is_that_value() -> None:
    assert table.percentile([7.5], 99) == 7.5


def test_median_leaves_out_what_was_not_measured() -> None:
    assert table.median([3.0, None, 1.0, 2.0]) == 2.0
    assert table.median([None]) is None


def test_a_missed_goal_is_seen_in_the_table() -> None:
    row = table.Row("50 calls/s", "setup p50", "ms", 9.0, 3.0, "floor", 3.0, "≤ 1.5× the floor's", False)
    assert "| 50 calls/s | setup p50 (ms) | floor | 9 | 3 | 3.00× | ≤ 1.5× the floor's | **no** |" in (
        table.rows_table([row])
    )


def test_a_section_survives_the_way_between_processes() -> None:
    section = table.Section("Calls", [table.Row("a", "b", "ms", 1.0)], ["note"], ["| t |"], ["broke"])
    assert table.Section.from_json(section.as_json()) == section


def test_a_leg_talks_only_with_packets_in_and_out() -> None:
    assert measure.talking_legs(CHANNEL_STATS) == (3, 1)


def run_folder(tmp_path: Path, caller: int, buyer: int, times: int) -> Path:
    """What two SIPp leave behind: whole calls of each side, and so many setup times."""
    (tmp_path / "uac.csv").write_text(f"{STATISTICS_HEAD}x;0;0;0;\nx;1;{caller};0;\n")
    (tmp_path / "uas.csv").write_text(f"{STATISTICS_HEAD}x;1;{buyer};0;\n")
    lines = "".join(f"10.5;{n + 0.25};1\n" for n in range(times))
    (tmp_path / "uac_17_rtt.csv").write_text(f"Date_ms;response_time_ms;rtd_no\n{lines}")
    (tmp_path / "uac.log").write_text("2026-11-20\t23:35:42.5\t1795217742.5: Aborting call on 503\n")
    return tmp_path


def test_calls_that_both_ends_saw_are_whole(tmp_path: Path) -> None:
    assert sipp.outcome(run_folder(tmp_path, 3, 3, 3), 3) == sipp.Outcome([0.25, 1.25, 2.25], 0)


@pytest.mark.parametrize(("caller", "buyer", "times"), [(3, 1, 3), (1, 3, 3), (3, 3, 1)])
def test_calls_that_one_end_missed_are_failures(tmp_path: Path, caller: int, buyer: int, times: int) -> None:
    outcome = sipp.outcome(run_folder(tmp_path, caller, buyer, times), 3)
    assert outcome.failed == 2
    assert outcome.complaint == "Aborting call on 503"


def test_a_sipp_that_wrote_nothing_carried_nothing(tmp_path: Path) -> None:
    (tmp_path / "uac.log").write_text("")
    assert sipp.outcome(tmp_path, 20) == sipp.Outcome([], 20)


@pytest.mark.parametrize(("sample", "code"), [(0, 0xFF), (-1, 0x7F), (32767, 0x80), (-32768, 0x00)])
def test_ulaw_meets_the_ends_of_its_table(sample: int, code: int) -> None:
    assert sipp.ulaw(sample) == code


def rtp(payload: bytes, kind: int = 0) -> bytes:
    return bytes([0x80, kind]) + bytes(10) + payload


@pytest.mark.parametrize(
    ("packet", "heard"),
    [
        (rtp(bytes(sipp.ulaw(12000) for _ in range(160))), True),
        (rtp(bytes(sipp.ulaw(-12000) for _ in range(160)), 0x80), True),
        (rtp(b"\xff\x7f" * 80), False),
        (rtp(bytes(sipp.ulaw(40) for _ in range(160))), False),
        (rtp(bytes([1, 0x8A, 3, 32]) * 8, 101), False),
        (b"\x80\x00", False),
    ],
)
def test_a_packet_with_sound_is_told_from_silence_and_digits(packet: bytes, heard: bool) -> None:
    assert presser.loud(packet) is heard


def test_a_late_digit_misses_the_goal_at_the_99th_percentile_only() -> None:
    times = [1.0] * 97 + [60.0] * 3
    p50, p95, p99 = digits.figures("heard", times, [0.5] * 100)
    assert [p50.ok, p95.ok, p99.ok] == [None, None, False]
    assert (p99.ours, p99.ratio) == (60.0, 120.0)
