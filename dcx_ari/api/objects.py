"""What each kind of row has of its own, beside what all kinds have (`api.rows`)."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api import buyers, campaigns, leads, schedules, sources, velocity


def add_routes(app: web.Application) -> None:
    for part in (buyers, campaigns, leads, schedules, sources, velocity):
        part.add_routes(app)
