"""The rendered configuration: whole, private, and hard to break with what operators type."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from dcx_asterisk.__main__ import instance_from
from dcx_asterisk.errors import AsteriskError
from dcx_asterisk.instance import Instance
from dcx_asterisk.render import Secrets, render, secrets_of

pytestmark = pytest.mark.unit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """As much of a tree as rendering looks at."""
    (tmp_path / "root/usr/lib/some-arch/asterisk/modules").mkdir(parents=True)
    return tmp_path / "root"


def values(path: Path) -> dict[str, str]:
    """`name = value` lines of an Asterisk file, without sections and comments."""
    lines = (line.split(";")[0] for line in path.read_text().splitlines())
    return {name.strip(): value.strip(" >") for name, _, value in (line.partition("=") for line in lines) if value}


def test_every_file_is_whole_and_private(tmp_path: Path, root: Path) -> None:
    instance = Instance(home=tmp_path / "home")
    render(instance, root)
    names = {path.name for path in instance.etc.iterdir()}
    assert {"asterisk.conf", "pjsip.conf", "extensions.conf", "ari.conf", "sorcery.conf", "modules.conf"} <= names
    for path in instance.etc.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        if path.name != "extensions.conf":
            assert "${" not in path.read_text(), path
    assert stat.S_IMODE(instance.home.stat().st_mode) == 0o700


def test_every_directory_is_ours(tmp_path: Path, root: Path) -> None:
    instance = Instance(home=tmp_path / "home")
    render(instance, root)
    for name, value in values(instance.etc / "asterisk.conf").items():
        if name.startswith("ast"):
            assert value.startswith((str(instance.home), str(root))), name
    for name in ("recording", "monitor", "tmp", "outgoing"):
        assert (instance.spool / name).is_dir()


def test_the_fields_reach_their_files(tmp_path: Path, root: Path) -> None:
    instance = Instance(
        home=tmp_path / "home",
        ari_port=1111,
        ami_port=2222,
        sip_port=3333,
        rtp_ports=(4444, 5555),
        engines=3,
        retry_s=2.5,
        fallback_number="+15559990000",
        fallback_trunk="trunk-1",
    )
    known = render(instance, root)
    assert values(instance.etc / "http.conf")["bindport"] == "1111"
    assert values(instance.etc / "http.conf")["bindaddr"] == "127.0.0.1"
    assert values(instance.etc / "manager.conf")["port"] == "2222"
    assert values(instance.etc / "manager.conf")["secret"] == known.ami_secret
    assert values(instance.etc / "manager.conf")["write"] == "system,call"
    assert re.findall(r"^bind = (.*)$", (instance.etc / "pjsip.conf").read_text(), re.M) == ["127.0.0.1:3333"] * 2
    assert values(instance.etc / "rtp.conf")["rtpstart"] == "4444"
    assert values(instance.etc / "ari.conf")["password"] == known.ari_password
    assert values(instance.etc / "globals.conf") == {
        "DCX_APP": "dcx",
        "DCX_ENGINES": "3",
        "DCX_RETRIES": "10",
        "DCX_FALLBACK_NUMBER": "+15559990000",
        "DCX_FALLBACK_TRUNK": "trunk-1",
    }


def test_behind_a_router(tmp_path: Path, root: Path) -> None:
    instance = Instance(home=tmp_path / "home", sip_bind="0.0.0.0", external_address="198.51.100.7")  # noqa: S104
    render(instance, root)
    text = (instance.etc / "pjsip.conf").read_text()
    assert text.count("external_media_address = 198.51.100.7") == 2
    assert text.count("local_net = 10.0.0.0/8") == 2


def test_secrets_are_made_once(tmp_path: Path, root: Path) -> None:
    instance = Instance(home=tmp_path / "home")
    first = render(instance, root)
    assert render(instance, root) == first == secrets_of(instance)
    assert len(first.ari_password) > 20
    other = Instance(home=tmp_path / "other")
    assert render(other, root).ari_password != first.ari_password


def test_given_secrets_win_and_are_not_kept(tmp_path: Path, root: Path) -> None:
    instance = Instance(home=tmp_path / "home")
    render(instance, root, Secrets("a", "b", "c", "d"))
    assert "[a]" in (instance.etc / "ari.conf").read_text()
    assert not (instance.home / "secrets.json").exists()


def test_local_dialplan_and_own_music_are_left_alone(tmp_path: Path, root: Path) -> None:
    instance = Instance(home=tmp_path / "home")
    instance.etc.mkdir(parents=True)
    instance.music.mkdir()
    (instance.etc / "local.conf").write_text("[mine]\n")
    (instance.music / "mine.wav").write_bytes(b"")
    render(instance, root)
    assert (instance.etc / "local.conf").read_text() == "[mine]\n"
    assert [path.name for path in instance.music.iterdir()] == ["mine.wav"]


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, root: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(AsteriskError, match=r"cannot write Asterisk's files below .*file/home"):
        render(Instance(home=tmp_path / "file" / "home"), root)


@pytest.mark.parametrize("text", ["a\nb", "x;y", "[z]", "a]"])
def test_text_that_would_break_a_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(AsteriskError, match="fallback_number"):
        Instance(home=tmp_path, fallback_number=text)


@pytest.mark.parametrize("ports", [(10999, 10000), (80, 90), (60000, 70000), (10000, 10000)])
def test_impossible_media_ports_are_refused(tmp_path: Path, ports: tuple[int, int]) -> None:
    with pytest.raises(AsteriskError, match="DCX_RTP_PORTS"):
        Instance(home=tmp_path, rtp_ports=ports)


def test_the_environment_of_a_container() -> None:
    instance = instance_from({"DCX_HOME": "/var/lib/dcx", "DCX_RTP_PORTS": "20000-20100", "DCX_ARI_HOST": "::"})
    assert instance.home == Path("/var/lib/dcx/asterisk")
    assert instance.rtp_ports == (20000, 20100)
    assert instance.ari_bind == "::"
    assert instance.sip_bind == "127.0.0.1"
    with pytest.raises(AsteriskError, match="no number"):
        instance_from({"DCX_SIP_PORT": "x"})


def test_the_image_installs_what_a_fetch_fetches() -> None:
    from dcx_asterisk.sets import ENGINE

    dockerfile = Path(__file__).parents[2] / "asterisk" / "Dockerfile"
    text = dockerfile.read_text()
    for package in ENGINE.packages:
        assert package in text or package == "flite", package  # speech is made by the engine, not by Asterisk
    for source in re.findall(r"^COPY (.+) \S+$", text, re.M):
        for name in source.split():
            assert (dockerfile.parents[1] / name).exists(), name
