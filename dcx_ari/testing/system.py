"""Requests about applications, the system itself, dynamic objects and endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dcx_ari.testing import pjsip_fields
from dcx_ari.testing.core import ASTERISK_ID
from dcx_ari.testing.wire import Ask, Refused

if TYPE_CHECKING:
    from dcx_ari.testing.applications import Application
    from dcx_ari.testing.core import Core

VERSION = "22.10.1"


def _application(core: Core, name: str) -> Application:
    application = core.applications.get(name)
    if application is None or not (application.active or application.subscribed):
        raise Refused(404, "Application not found")
    return application


def get_application(core: Core, ask: Ask) -> dict[str, Any]:
    return _application(core, ask.id).to_json()


def list_applications(core: Core, _: Ask) -> list[dict[str, Any]]:
    return [app.to_json() for app in core.applications.values() if app.active or app.subscribed]


def subscribe(core: Core, ask: Ask) -> dict[str, Any]:
    application = _application(core, ask.id)
    for kind, key in _sources(ask):
        if kind == "channel":
            _known(key in core.channels)
            application.channels[key] += 1
        elif kind == "bridge":
            _known(key in core.bridges)
            application.bridges[key] += 1
        else:
            application.endpoints.add(key)
    return application.to_json()


def unsubscribe(core: Core, ask: Ask) -> dict[str, Any]:
    application = _application(core, ask.id)
    for kind, key in _sources(ask):
        kept = {"channel": application.channels, "bridge": application.bridges}.get(kind)
        if kept is None:
            application.endpoints.discard(key)
        elif key in kept:
            application.drop(kept, key)
        else:
            raise Refused(422, "Event source was not subscribed to")
    return application.to_json()


def _known(found: bool) -> None:
    if not found:
        raise Refused(422, "Event source does not exist")


def _sources(ask: Ask) -> list[tuple[str, str]]:
    sources = [source.partition(":") for source in ask.many("eventSource")]
    if not sources:
        raise Refused(400, "Missing parameter eventSource")
    for kind, _, _ in sources:
        if kind not in ("channel", "bridge", "endpoint", "deviceState"):
            raise Refused(400, "Invalid event source scheme")
    return [(kind, key) for kind, _, key in sources]


def event_filter(core: Core, ask: Ask) -> dict[str, Any]:
    application = _application(core, ask.id)
    chosen = ask.args.get("filter") or ask.args
    allowed, disallowed = chosen.get("allowed"), chosen.get("disallowed")
    if allowed is not None or disallowed is None:
        application.allowed = list(allowed or [])
    if disallowed is not None or allowed is None:
        application.disallowed = list(disallowed or [])
    return application.to_json()


def ping(core: Core, _: Ask) -> dict[str, Any]:
    return {"ping": "pong", "timestamp": core.timestamp(), "asterisk_id": ASTERISK_ID}


def info(core: Core, _: Ask) -> dict[str, Any]:
    started = core.startup_time()
    return {
        "build": {
            "os": "Linux",
            "kernel": "unknown",
            "machine": "x86_64",
            "options": "",
            "date": "2026-07-20 21:35:32 UTC",
            "user": "nobody",
        },
        "system": {"version": VERSION, "entity_id": ASTERISK_ID},
        "config": {"name": "", "default_language": "en", "setid": {"user": "", "group": ""}},
        "status": {"startup_time": started, "last_reload_time": started},
    }


def get_variable(core: Core, ask: Ask) -> dict[str, Any]:
    return {"value": core.variables.get(ask.need("variable", "Variable name is required"), "")}


def set_variable(core: Core, ask: Ask) -> None:
    core.variables[ask.need("variable", "Variable name is required")] = ask.text("value")


# Objects that PUT /asterisk/config/dynamic makes in the memory of a sorcery wizard.


def _key(ask: Ask) -> tuple[str, str, str]:
    config_class, kind, name = ask.ids
    if config_class != "res_pjsip":
        raise Refused(404, f"configClass '{config_class}' not found")
    if kind not in pjsip_fields.DEFAULTS and kind != "transport":
        raise Refused(404, f"objectType '{kind}' not found")
    return config_class, kind, name


def get_object(core: Core, ask: Ask) -> list[dict[str, str]]:
    _, kind, name = _key(ask)
    if (kind, name) not in core.objects:
        raise Refused(404, f"Object with id '{name}' not found")
    return _tuples(core.objects[kind, name])


def put_object(core: Core, ask: Ask) -> list[dict[str, str]]:
    _, kind, name = _key(ask)
    if kind == "transport" or (kind, name) in core.static_objects:
        raise Refused(403, f"Cannot update sorcery objects of type '{kind}'")
    given = {str(f["attribute"]): str(f["value"]) for f in ask.args.get("fields") or []}
    if set(given) - set(pjsip_fields.DEFAULTS[kind]):
        raise Refused(400, f"Creation of object '{name}' failed field value validation")
    old = core.objects.get((kind, name), pjsip_fields.DEFAULTS[kind])
    core.objects[kind, name] = {**old, **given}
    return _tuples(core.objects[kind, name])


def delete_object(core: Core, ask: Ask) -> None:
    _, kind, name = _key(ask)
    if (kind, name) in core.static_objects:
        raise Refused(403, f"Could not delete object with id '{name}'")
    if core.objects.pop((kind, name), None) is None:
        raise Refused(404, f"Object with id '{name}' not found")


def _tuples(fields: dict[str, str]) -> list[dict[str, str]]:
    return [{"attribute": name, "value": value} for name, value in sorted(fields.items())]


def list_endpoints(core: Core, ask: Ask) -> list[dict[str, Any]]:
    names = [name for kind, name in core.objects if kind == "endpoint"]
    if ask.ids and ask.id != "PJSIP":
        raise Refused(404, f"No Endpoints found - invalid tech {ask.id}")
    return [_endpoint(name) for name in names]


def get_endpoint(core: Core, ask: Ask) -> dict[str, Any]:
    technology, name = ask.ids
    if technology != "PJSIP" or ("endpoint", name) not in core.objects:
        raise Refused(404, "Endpoint not found")
    return _endpoint(name)


def _endpoint(name: str) -> dict[str, Any]:
    return {"technology": "PJSIP", "resource": name, "state": "online", "channel_ids": []}
