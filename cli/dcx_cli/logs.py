"""The log of a long-running command."""

from __future__ import annotations

import logging
import sys

from dcx_ari.settings import Settings


def set_up_logging(settings: Settings) -> None:
    """Our own log at the level asked for, everybody else's warnings; to standard error. Of several workers each line
    says whose it is.
    """
    whose = f"{settings.app_name} " if settings.workers > 1 else ""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)-7s {whose}%(name)s: %(message)s",
        force=True,
    )
    logging.getLogger("dcx_ari").setLevel(settings.log_level.upper())
