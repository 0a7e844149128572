"""compose.yaml and the Dockerfiles, as far as they can be checked without a container engine.

What is held is that containers run what `dcx up` runs: the same renderer, the same packages, the same settings.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from dcx_ari.local import access_to_foreign, instance_of
from dcx_ari.settings import Settings, read_settings
from dcx_asterisk.__main__ import instance_from
from dcx_asterisk.sets import ENGINE

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
SERVICES = COMPOSE["services"]
DOCKERFILES = {"engine": ROOT / "Dockerfile", "base": ROOT / "Dockerfile", "asterisk": ROOT / "asterisk/Dockerfile"}


def filled_in(text: Any, environ: dict[str, str] | None = None) -> str:
    """`${NAME:-default}` as Compose does it; `$$` is a dollar sign."""
    given = environ or {}
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", lambda match: given.get(match[1]) or match[2], str(text))
    assert not re.search(r"(?<!\$)\$[\w{]", text), text
    return text.replace("$$", "$")


def environment(service: str) -> dict[str, str]:
    return {name: filled_in(value) for name, value in SERVICES[service].get("environment", {}).items()}


def steps(path: Path, word: str) -> list[str]:
    """The arguments of every `word` instruction of a Dockerfile."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    return [line.removeprefix(word).strip() for line in text.splitlines() if line.startswith(f"{word} ")]


def packages(path: Path) -> set[str]:
    """The Debian packages that a Dockerfile installs."""
    runs = "&&".join(steps(path, "RUN")).split("&&")
    return {word for run in runs if "apt-get install" in run for word in run.split()[2:] if not word.startswith("-")}


def health_check(service: str) -> list[str]:
    given = SERVICES[service].get("healthcheck")
    if given is not None:
        kind, *command = given["test"]
        assert kind == "CMD"
        return command
    (declared,) = steps(DOCKERFILES[service], "HEALTHCHECK")
    return list(yaml.safe_load(declared.partition(" CMD ")[2]))


def script(service: str) -> str:
    """The script that a service runs by `sh -ec`."""
    shell, option, text = SERVICES[service]["command"]
    assert (shell, option) == ("sh", "-ec")
    return filled_in(text)


def test_what_is_built_from_exists_and_reaches_the_builder():
    ignored = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert ignored[0] == "*"
    kept = {line[1:] for line in ignored if line.startswith("!")}
    for service, path in DOCKERFILES.items():
        build = SERVICES[service]["build"]
        named = "Dockerfile" if build == "." else build["dockerfile"]
        assert (ROOT / named) == path
        for copied in steps(path, "COPY"):
            for source in shlex.split(copied)[:-1]:
                assert (ROOT / source).exists(), source
                assert source == "." or source.split("/")[0] in kept, source
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    needed = [project["project"]["readme"], *project["project"]["license-files"], *wheel, "pyproject.toml"]
    assert {name.split("/")[0] for name in needed} == kept


def test_every_variable_is_one_that_somebody_reads():
    read = {f"DCX_{field.name.upper()}" for field in fields(Settings)}
    read |= set(
        re.findall(r'environ\.get\("(DCX_\w+)"', (ROOT / "asterisk/dcx_asterisk/__main__.py").read_text("utf-8"))
    )
    for service in SERVICES:
        given = {name for name in environment(service) if name.startswith("DCX_")}
        given |= {name for name in re.findall(r"DCX_\w+", str(SERVICES[service].get("command"))) if service != "base"}
        assert given <= read, service
    for path in DOCKERFILES.values():
        assert set(re.findall(r"DCX_\w+", " ".join(steps(path, "ENV")))) <= read
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text("utf-8")))
    assert asked - read == {"DCX_BIND", "DCX_API_BIND"}


def test_asterisk_and_engine_mean_the_same_asterisk():
    assert environment("asterisk") == environment("engine")
    settings = read_settings(environment("engine"))
    assert instance_of(settings) == instance_from(environment("asterisk"))
    assert SERVICES["asterisk"]["network_mode"] == SERVICES["engine"]["network_mode"] == "service:base"
    assert SERVICES["asterisk"]["user"] == SERVICES["engine"]["user"]
    assert settings.ari_base == instance_of(settings).ari_url
    access = access_to_foreign(read_settings({**environment("engine"), "DCX_ARI_PASSWORD": "x"}))
    # MixMonitor and the prompts pass as files: one directory, at one path.
    for path in (access.monitor, settings.home):
        for service in ("asterisk", "engine"):
            assert path.is_relative_to(mounts(service)["home"])
    assert (access.ari_user, access.ami_user, access.ami_secret) == ("dcx", "dcx", "x")


def mounts(service: str) -> dict[str, str]:
    """Volume -> where it is mounted."""
    found = {}
    for each in SERVICES[service]["volumes"]:
        source, target = each.split(":")[:2] if isinstance(each, str) else (each["source"], each["target"])
        found[source] = target
    return found


def test_volumes_are_declared_and_begin_as_the_engines():
    for service in SERVICES.values():
        for each in service.get("volumes", []):
            source = each.split(":")[0] if isinstance(each, str) else each["source"]
            assert source in COMPOSE["volumes"]
    # A fresh volume takes owner and mode from the first image that brings the directory: never Asterisk's.
    home = next(each for each in SERVICES["asterisk"]["volumes"] if isinstance(each, dict) and each["source"] == "home")
    assert home["volume"]["nocopy"] is True
    uid, _, gid = SERVICES["engine"]["user"].partition(":")
    runs = " ".join(steps(DOCKERFILES["engine"], "RUN"))
    assert uid == gid
    assert f"useradd --uid {uid} --user-group" in runs
    for path in mounts("base").values():
        assert re.search(rf"install -d -o dcx -g dcx -m \d+ {path}\b", runs)


def test_what_is_published_is_loopback_and_has_the_usual_ports():
    usual = Settings()
    assert [name for name, service in SERVICES.items() if service.get("ports")] == ["base"]
    published = [filled_in(each) for each in SERVICES["base"]["ports"]]
    first, _ = usual.rtp_range
    assert published == [
        f"127.0.0.1:{usual.sip_port}:{usual.sip_port}/udp",
        f"127.0.0.1:{usual.sip_port}:{usual.sip_port}/tcp",
        f"127.0.0.1:{first}-{first + 199}:{first}-{first + 199}/udp",
        f"127.0.0.1:{usual.api_port}:{usual.api_port}/tcp",
    ]
    settings = read_settings(environment("engine"))
    assert (settings.sip_port, settings.api_port) == (usual.sip_port, usual.api_port)
    assert settings.rtp_range == (first, first + 199)
    # Inside, ARI and AMI stay where `dcx up` has them.
    assert settings.ari_base == f"http://127.0.0.1:{usual.ari_port}/ari"
    assert settings.ami_port == usual.ami_port


def test_ports_move_inside_and_outside_together():
    moved = {"DCX_SIP_PORT": "5080", "DCX_API_PORT": "9090", "DCX_RTP_PORTS": "20000-20099", "DCX_BIND": "192.0.2.1"}
    published = [filled_in(each, moved) for each in SERVICES["base"]["ports"]]
    assert published == [
        "192.0.2.1:5080:5080/udp",
        "192.0.2.1:5080:5080/tcp",
        "192.0.2.1:20000-20099:20000-20099/udp",
        "127.0.0.1:9090:9090/tcp",
    ]
    inside = {name: filled_in(value, moved) for name, value in SERVICES["engine"]["environment"].items()}
    assert {name: inside[name] for name in moved if name in inside} == {
        name: value for name, value in moved.items() if name != "DCX_BIND"
    }


def test_no_secret_is_written_down():
    for name, service in SERVICES.items():
        secret = [key for key in service.get("environment", {}) if re.search("PASSWORD|SECRET|KEY|TOKEN", key)]
        assert all(key.endswith("_FILE") for key in secret), name
    for name in ("asterisk", "engine"):
        assert 'export DCX_ARI_PASSWORD="$(cat /run/dcx/ari)"' in script(name)
        assert mounts(name)["secrets"] == "/run/dcx"


def test_the_secrets_are_made_once_and_random(tmp_path: Path):
    made = script("base").replace("/run/dcx", str(tmp_path)).replace("exec sleep infinity", "")
    tools = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    seen = []
    for _ in range(2):
        subprocess.run(["sh", "-ec", made], env=tools, check=True, timeout=30)
        seen.append({path.name: path.read_text("ascii").strip() for path in tmp_path.iterdir()})
    assert seen[0] == seen[1]
    assert set(seen[0]) == {"ari", "postgres"}
    assert all(len(value) >= 32 for value in seen[0].values())
    assert seen[0]["ari"] != seen[0]["postgres"]


def test_every_service_has_a_health_check_that_its_image_can_run():
    started = {name for name, service in SERVICES.items() if "profiles" not in service}
    assert started == {"base", "asterisk", "engine"}
    home = environment("asterisk")["DCX_HOME"]
    asked = health_check("asterisk")
    assert asked[0] in packages(DOCKERFILES["asterisk"])
    assert Path(asked[2]) == instance_from({"DCX_HOME": home}).configuration
    assert health_check("engine")[0] == "python"
    assert steps(DOCKERFILES["engine"], "FROM")[0].startswith("python:3.11-")
    compile(health_check("engine")[2], "health check", "exec")
    assert "/ready" in health_check("engine")[2]
    assert health_check("base") == ["test", "-s", f"{mounts('base')['secrets']}/postgres"]
    assert [health_check(name)[0] for name in ("postgres", "redis")] == ["pg_isready", "redis-cli"]


def test_the_images_have_the_packages_that_dcx_up_fetches():
    installed = {name: packages(path) for name, path in DOCKERFILES.items()}
    assert set(ENGINE.packages) <= installed["asterisk"] | installed["engine"]
    assert "flite" in installed["engine"], "the engine runs it: see access_to_foreign"
    runs = " ".join(steps(DOCKERFILES["asterisk"], "RUN"))
    for where, target in ENGINE.links:
        assert f"ln -sfn {target} /{where}" in runs
    assert fnmatch(steps(DOCKERFILES["asterisk"], "FROM")[0], "debian:testing*")


def test_the_container_renders_with_the_files_it_copies_and_nothing_else(tmp_path: Path):
    """What the image's CMD starts needs no package of Python's, as there are none in that image."""
    root = tmp_path / "opt/dcx"
    for copied in steps(DOCKERFILES["asterisk"], "COPY"):
        *sources, target = shlex.split(copied)
        folder = tmp_path / target.lstrip("/")
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, folder, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, folder)
    (tmp_path / "usr/lib/any/asterisk/modules").mkdir(parents=True)
    code = (
        "import os, sys; from pathlib import Path; from dcx_asterisk.__main__ import instance_from;"
        "from dcx_asterisk.render import render, Secrets;"
        "render(instance_from(os.environ), Path(sys.argv[1]), Secrets('u', 'p', 'u', 'p'))"
    )
    env = {**environment("asterisk"), "PYTHONPATH": str(root), "DCX_HOME": str(tmp_path / "home"), "PATH": ""}
    python = (sys.executable, "-S", "-B")  # -S: no site-packages
    subprocess.run([*python, "-c", code, str(tmp_path)], env=env, check=True, timeout=30)
    assert (tmp_path / "home/asterisk/etc/pjsip.conf").read_text("utf-8").count("bind = 0.0.0.0:5060") == 2
    usage = subprocess.run(
        [*python, "-m", "dcx_asterisk"], env=env, capture_output=True, text=True, timeout=30, check=False
    )
    assert (usage.returncode, "serve" in usage.stderr) == (2, True)
    assert steps(DOCKERFILES["asterisk"], "CMD") == ['["python3", "-m", "dcx_asterisk", "serve"]']
    assert script("asterisk").endswith("exec python3 -m dcx_asterisk serve")


def test_the_engine_uses_postgresql_when_told_to(tmp_path: Path):
    """The script, with a `dcx` that says what it was given."""
    for name in ("ari", "postgres"):
        (tmp_path / name).write_text(f"{name}-secret\n")
    (tmp_path / "dcx").write_text('#!/bin/sh\necho "$PGPASSWORD $*"\n')
    (tmp_path / "dcx").chmod(0o755)
    text = filled_in(SERVICES["engine"]["command"][2]).replace("/run/dcx", str(tmp_path))
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["sh", "-ec", text], env={"PATH": path}, capture_output=True, text=True, check=True)
    assert done.stdout == "postgres-secret run\n"
    asked = SERVICES["engine"]["environment"]["DCX_DATABASE_URL"]
    assert read_settings({"DCX_DATABASE_URL": filled_in(asked)}).database_url.startswith("sqlite")
    assert "[postgres]" in DOCKERFILES["engine"].read_text("utf-8")
    assert SERVICES["postgres"]["profiles"] == SERVICES["redis"]["profiles"] == ["scale"]
