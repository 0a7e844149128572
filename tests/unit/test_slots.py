"""Locks of slots between real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dcx_ari.settings import Settings, SettingsError, read_settings
from dcx_ari.slots import app_base, if_dead, only_process, other_slots, pid_of, slot_names

pytestmark = pytest.mark.unit

HOLD = """
import sys
from dcx_ari.settings import read_settings
from dcx_ari.slots import only_process
with only_process(read_settings({}, home=sys.argv[1])):
    print("has it", flush=True)
    sys.stdin.read()
"""


def of(home: Path) -> Settings:
    return read_settings({}, home=str(home))


def holder(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "has it\n"
    return process


def test_one_process_at_a_time_however_the_last_one_ended(tmp_path: Path) -> None:
    process = holder(tmp_path)
    with process:
        in_use = rf"DCX_HOME: .* in use: dcx-0 runs as process {process.pid}\."
        with pytest.raises(SettingsError, match=in_use), only_process(of(tmp_path), wait_s=0):
            pytest.fail("two have it")
        assert pid_of(tmp_path, "dcx-0") == process.pid
        with if_dead(tmp_path, "dcx-0") as dead:
            assert not dead
        process.send_signal(signal.SIGKILL)
        process.wait()
    with if_dead(tmp_path, "dcx-0") as dead:
        assert dead
        with pytest.raises(SettingsError, match="in use"), only_process(of(tmp_path), wait_s=0):
            pytest.fail("it came back while its calls were taken over")
    assert pid_of(tmp_path, "dcx-0") is None
    with only_process(of(tmp_path)):
        assert pid_of(tmp_path, "dcx-0") == os.getpid()


def test_a_slot_of_another_home_is_nobodys_to_judge(tmp_path: Path) -> None:
    with if_dead(tmp_path, "dcx-7") as dead:
        assert not dead
    assert pid_of(tmp_path, "dcx-7") is None
    assert list(tmp_path.iterdir()) == []


def test_a_lock_with_rubbish_in_it(tmp_path: Path) -> None:
    (tmp_path / "dcx-0.lock").write_text("no number")
    assert pid_of(tmp_path, "dcx-0") is None
    with only_process(of(tmp_path)):
        pass


def test_neighbours_are_slots_of_the_same_name(tmp_path: Path) -> None:
    for name in ("dcx", "dcx-0", "dcx-1", "east-0"):
        (tmp_path / f"{name}.lock").touch()
    assert other_slots(tmp_path, "dcx-0") == ["dcx-1"]
    assert other_slots(tmp_path / "nowhere", "dcx-0") == []


@pytest.mark.parametrize(
    ("name", "workers", "slots"),
    [("dcx-0", 1, ["dcx-0"]), ("dcx-0", 3, ["dcx-0", "dcx-1", "dcx-2"]), ("east", 2, ["east-0", "east-1"])],
)
def test_names(name: str, workers: int, slots: list[str]) -> None:
    assert slot_names(name, workers) == slots
    assert {app_base(slot) for slot in slots} == {slots[0].rpartition("-")[0]}
