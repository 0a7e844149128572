"""What each kind of row has of its own, beside what all kinds have (`api.rows`)."""

from __future__ import annotations

from aiohttp import web

from dcx_ari.api import buyers, campaigns, contacts, leads, schedules, sources, states, velocity, views


def add_routes(app: web.Application) -> None:
    for part in (buyers, campaigns, contacts, leads, schedules, sources, states, velocity, views):
        part.add_routes(app)
