"""What a command was given: its settings."""

from __future__ import annotations

from pathlib import Path

import typer

from dcx_ari.settings import Settings, read_settings


def settings_of(ctx: typer.Context) -> Settings:
    """Settings from the command line and the environment. Raises SettingsError."""
    home = ctx.find_root().obj
    return read_settings(home=Path(home) if home is not None else None)
