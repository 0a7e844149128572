"""Two mono files become one stereo file, caller left, whole or not at all."""

from __future__ import annotations

import array
import hashlib
import wave
from pathlib import Path
from typing import ClassVar, cast

import pytest

from dcx_ari.ari.errors import Gone
from dcx_ari.call.ports import Journal
from dcx_ari.media.recording import Monitor, StereoRecorder, make_stereo, recording_path

pytestmark = pytest.mark.unit


def _mono(path: Path, samples: list[int], *, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(array.array("h" if width == 2 else "b", samples).tobytes())
    return path


def test_interleaves_and_pads_the_shorter_side(tmp_path: Path) -> None:
    long = [n % 1000 for n in range(200_001)]  # more than one step of interleaving
    made = make_stereo(
        _mono(tmp_path / "l.wav", long),
        _mono(tmp_path / "r.wav", [-1] * 100_000),
        tmp_path / "sub" / "out.wav",
    )
    with wave.open(str(tmp_path / "sub" / "out.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 200_001)
        both = array.array("h", file.readframes(200_001))
    assert list(both[0::2]) == long
    assert both[1] == both[2 * 99_999 + 1] == -1
    assert both[2 * 100_000 + 1] == both[2 * 200_000 + 1] == 0
    assert made.duration_ms == 25_000
    assert made.sha256 == hashlib.sha256((tmp_path / "sub" / "out.wav").read_bytes()).hexdigest()


def test_a_bad_side_leaves_nothing_behind(tmp_path: Path) -> None:
    left, right = _mono(tmp_path / "l.wav", [1, 2]), _mono(tmp_path / "r.wav", [1, 2], width=1)
    with pytest.raises(wave.Error, match="16-bit"):
        make_stereo(left, right, tmp_path / "out.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["l.wav", "r.wav"]


def test_a_path_tells_nothing_of_the_caller() -> None:
    assert str(recording_path("01jd0000000123456789.rec1")) == "recordings/01jd00/01jd0000000123456789.rec1.wav"


async def test_files_of_an_asterisk_that_died_are_mended(tmp_path: Path) -> None:
    """Its header says 0 bytes, the sound is there."""

    class Rows:
        fields: ClassVar[dict[str, object]] = {}

        def recording(self, call_id: str, recording_id: str, **fields: object) -> None:
            self.fields.update(fields)

    class Monitor:
        async def mix_monitor(self, channel: str, receive: str, transmit: str) -> str:
            for path, value in ((receive, 5), (transmit, -5)):
                whole = bytearray(_mono(Path(path), [value] * 8000).read_bytes())
                whole[40:44] = bytes(4)
                Path(path).write_bytes(whole)
            return "m"

        async def stop(self, channel: str, monitor: str) -> None:
            raise Gone("no such channel")

        async def mute(self, channel: str, on: bool) -> None: ...

    rows = Rows()
    recorder = StereoRecorder(Monitor(), cast("Journal", rows), tmp_path, tmp_path)
    await recorder.start("c", "c.rec1", "1.1", 0)
    await recorder.stop("c.rec1", 1000)
    await recorder.drain(10)
    assert (rows.fields["state"], rows.fields["duration_ms"]) == ("ready", 1000)


@pytest.mark.parametrize("left", [("rx", "tx"), ("tx",), ()])
async def test_a_recording_is_finished_by_another_process(tmp_path: Path, left: tuple[str, ...]) -> None:
    """The first one was killed before it began, before the second side was removed, or before the row was written."""

    class Rows:
        fields: ClassVar[dict[str, object]] = {}

        def recording(self, call_id: str, recording_id: str, **fields: object) -> None:
            self.fields.update(fields)

    sides = {side: _mono(tmp_path / f"c.rec1-{side}.wav", [7] * 4000) for side in ("rx", "tx")}
    if len(left) < 2:
        make_stereo(sides["rx"], sides["tx"], tmp_path / recording_path("c.rec1"))
    for side in set(sides) - set(left):
        sides[side].unlink()
    rows, target = Rows(), tmp_path / recording_path("c.rec1")
    recorder = StereoRecorder(cast("Monitor", None), cast("Journal", rows), tmp_path, tmp_path)
    recorder.finish("c", "c.rec1")
    recorder.finish("c", "c.rec1")  # asked again while it works
    await recorder.drain(10)
    assert (rows.fields["state"], rows.fields["duration_ms"]) == ("ready", 500)
    assert rows.fields["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert not any(path.exists() for path in sides.values())
