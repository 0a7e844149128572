"""The application: routes and what goes around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from zoneinfo import ZoneInfo

from aiohttp import web
from prometheus_client import CollectorRegistry

from dcx_ari.api import (
    access,
    audit,
    callbacks,
    calls,
    csv,
    dashboard,
    flows,
    health,
    invitations,
    keys,
    links,
    me,
    objects,
    openapi,
    outbox,
    recordings,
    reports,
    retention,
    rows,
    templates,
    users,
    voicemails,
    webhooks,
    workers,
)
from dcx_ari.api.context import CONTEXT, DEFAULT_ZONE, MAX_BODY, Context, Readiness, Scrape
from dcx_ari.api.idempotency import idempotent
from dcx_ari.api.middleware import around, common_headers, errors_as_json
from dcx_ari.services.gate import Gate
from dcx_ari.services.holder import parse_networks
from dcx_ari.services.logins import Logins
from dcx_ari.services.tickets import Tickets
from dcx_ari.services.webhooks import Targets
from dcx_ari.store.db import Database

AddRoutes = Callable[[web.Application], None]


async def always_ready() -> str | None:
    return None


def make_app(
    database: Database,
    *,
    readiness: Readiness = always_ready,
    registry: CollectorRegistry | None = None,
    scrape: Scrape | None = None,
    more: Iterable[AddRoutes] = (),
    zone: str = DEFAULT_ZONE,
    home: Path | None = None,
    proxies: Iterable[str] = (),
    base_url: str = "http://127.0.0.1:8080",
    targets: Targets | None = None,
    gate: Gate | None = None,
    logins: Logins | None = None,
) -> web.Application:
    """The API over a migrated database.

    `readiness` says why calls cannot be taken (None: they can). `registry` is where metrics are kept, `scrape`
    gives them with those of others. `more` adds
    routes of parts that this package does not know. `zone` is the
    company's (IANA); `home` is where recordings are (None: there are none to give). `proxies` are
    the networks of proxies whose X-Forwarded-For is believed; `base_url` begins the links in e-mails.
    """
    app = web.Application(
        middlewares=[around, errors_as_json, access.authenticate, idempotent],
        client_max_size=MAX_BODY,
        handler_args={"max_line_size": 8190, "max_field_size": 8190},
    )
    app[CONTEXT] = Context(database, readiness, registry or CollectorRegistry(), ZoneInfo(zone), home, scrape)
    app[access.GATE] = gate or Gate(database)
    app[access.PROXIES] = parse_networks(proxies)
    app[access.TICKETS] = Tickets()
    app[me.LOGINS] = logins or Logins(database)
    app[invitations.BASE_URL] = base_url
    app[webhooks.TARGETS] = targets or Targets()
    app.cleanup_ctx.append(access.keep_gate)
    app.on_response_prepare.extend((common_headers, access.limit_headers))
    for add_routes in (
        health.add_routes,
        rows.add_routes,
        links.add_routes,
        flows.add_routes,
        calls.add_routes,
        csv.add_routes,
        templates.add_routes,
        callbacks.add_routes,
        voicemails.add_routes,
        recordings.add_routes,
        retention.add_routes,
        keys.add_routes,
        users.add_routes,
        me.add_routes,
        invitations.add_routes,
        audit.add_routes,
        objects.add_routes,
        reports.add_routes,
        dashboard.add_routes,
        webhooks.add_routes,
        outbox.add_routes,
        workers.add_routes,
        openapi.add_routes,
        *more,
    ):
        add_routes(app)
    return app
