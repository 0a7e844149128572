"""The generated modules: in step with the description, and the generator with odd descriptions."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_ari", ROOT / "tools" / "generate_ari.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_what_is_committed_is_what_the_description_gives(generator: ModuleType) -> None:
    assert generator.main(["--check"]) == 0


def test_drift_is_found_and_named(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "dcx_ari" / "ari"
    target.mkdir(parents=True)
    for name in ("description.json", "models.py", "events.py", "resources.py"):
        (target / name).write_text((ROOT / "dcx_ari" / "ari" / name).read_text())
    (target / "events.py").write_text("# edited by hand\n")
    monkeypatch.setattr(generator, "HERE", tmp_path)
    monkeypatch.setattr(generator, "TARGET", target)
    monkeypatch.setattr(generator, "DESCRIPTION", target / "description.json")
    assert generator.main(["--check"]) == 1
    assert "dcx_ari/ari/events.py" in capsys.readouterr().out
    assert (target / "events.py").read_text() == "# edited by hand\n"
    assert generator.main([]) == 0
    assert generator.main(["--check"]) == 0


def test_an_odd_description_is_read(generator: ModuleType, tmp_path: Path) -> None:
    api = tmp_path / "usr/share/asterisk/rest-api"
    api.mkdir(parents=True)
    path_parameter = {"name": "from", "paramType": "path", "dataType": "string"}
    operations = [
        {"httpMethod": "GET", "nickname": "list", "responseClass": "List[Missing]"},
        {"httpMethod": "GET", "nickname": "socket", "responseClass": "Message", "upgrade": "websocket"},
        {"httpMethod": "POST", "nickname": "doIT", "responseClass": "void", "parameters": [path_parameter]},
    ]
    models = {
        "Message": {"properties": {"type": {"type": "string", "required": True}}, "subTypes": ["Event"]},
        "Event": {"properties": {"at": {"type": "Date", "required": True}}, "subTypes": ["Odd"]},
        "Odd": {"properties": {"from": {"type": "Nowhere"}, "n": {"type": "long", "required": False}}},
        "Empty": {"properties": {}},
    }
    document = {"apis": [{"path": "/things/{from}", "operations": operations}], "models": models}
    (api / "things.json").write_text(json.dumps(document))
    description = generator.extract(tmp_path)
    assert json.loads(generator.compact(description)) == description
    resources = generator.formatted(generator.resources_source(description))
    assert "async def list(self) -> builtins.list[Any]:" in resources
    assert "async def do_it(self, from_: str) -> None:" in resources
    assert 'f"things/{segment(from_)}"' in resources
    assert "socket" not in resources
    odd = generator.events_source(description)
    assert 'from_: Any = field(default=None, name="from")' in odd
    assert "n: int | None = None" in odd
    assert "class Empty(Model, frozen=True, kw_only=True): ..." in generator.models_source(description)


def test_a_tree_without_a_description_is_refused(generator: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="rest-api"):
        generator.extract(tmp_path)
