"""The product on one machine: Asterisk, engine and API in one process tree, everything below one home."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dcx_ari.access import AsteriskAccess
from dcx_ari.call.tasks import cancel_and_wait
from dcx_ari.settings import Settings
from dcx_ari.slots import app_base
from dcx_asterisk.errors import AsteriskError, CommandFailed
from dcx_asterisk.fetch import Progress, present
from dcx_asterisk.instance import Instance
from dcx_asterisk.keeper import Keeper, kept
from dcx_asterisk.process import Asterisk
from dcx_asterisk.render import Secrets, secrets_of

if TYPE_CHECKING:
    from dcx_ari.flows.known import Known
    from dcx_asterisk.tree import Tree

SECRETS = "secrets.json"
_ROTATE_EVERY_S = 300.0
log = logging.getLogger(__name__)


def instance_of(settings: Settings) -> Instance:
    """The Asterisk that belongs to these settings."""
    return Instance(
        home=settings.asterisk_path,
        ari_port=settings.ari_port,
        ami_port=settings.ami_port,
        sip_port=settings.sip_port,
        sip_bind=settings.sip_host,
        rtp_ports=settings.rtp_range,
        external_address=settings.external_address,
        fallback_number=settings.fallback_number,
        fallback_trunk=settings.fallback_trunk,
        app=app_base(settings.app_name),
        engines=settings.workers,
    )


def read_secrets(instance: Instance) -> Secrets:
    """The secrets of an Asterisk's home. Raises AsteriskError where there are none."""
    if not (instance.home / SECRETS).exists():
        raise AsteriskError(
            f"there is no password for Asterisk: {instance.home / SECRETS} does not exist",
            "Set DCX_ARI_PASSWORD, or DCX_ASTERISK_HOME to the home of that Asterisk.",
        )
    return secrets_of(instance)


def access_of(asterisk: Asterisk) -> AsteriskAccess:
    return AsteriskAccess(
        ari_url=asterisk.ari_url,
        ari_user=asterisk.ari_user,
        ari_password=asterisk.ari_password,
        ami_host=asterisk.ami_host,
        ami_port=asterisk.ami_port,
        ami_user=asterisk.ami_user,
        ami_secret=asterisk.ami_secret,
        monitor=Path(asterisk.instance.spool) / "monitor",
        speech=lambda *args: asterisk.tree.command("flite", *args),
        audible=lambda: _audible(asterisk.tree),
    )


def _audible(tree: Tree | None) -> Known:
    from dcx_ari.audible import audible_in  # loads speech engines: a supervisor needs none

    return audible_in(tree)


def access_to_foreign(settings: Settings) -> AsteriskAccess:
    """Access to an Asterisk that somebody else started with our configuration.

    User and password are those of the settings, or of the secrets that lie in its home. The manager interface
    is asked on loopback only. Raises AsteriskError where there is no password.
    """
    instance = instance_of(settings)
    user, password = settings.ari_user, settings.ari_password
    ami_user, ami_secret = user, password
    if not password or (instance.home / SECRETS).exists():
        known = read_secrets(instance)
        user, password = (user, password) if password else (known.ari_user, known.ari_password)
        ami_user, ami_secret = known.ami_user, known.ami_secret
    tree = present("engine")
    return AsteriskAccess(
        ari_url=settings.ari_base,
        ari_user=user,
        ari_password=password,
        ami_host="127.0.0.1",
        ami_port=settings.ami_port,
        ami_user=ami_user,
        ami_secret=ami_secret,
        monitor=instance.spool / "monitor",
        speech=lambda *args: tree.command("flite", *args) if tree is not None else ("flite", *args),
        audible=lambda: _audible(tree),
    )


@asynccontextmanager
async def local_asterisk(
    settings: Settings, report: Callable[[Progress], None], *, die_with_parent: bool = False
) -> AsyncIterator[AsteriskAccess]:
    """Fetch (if need be), start, keep up and in the end stop the Asterisk of this home; whichever runs, the access is
    the same.
    """
    async with kept(instance_of(settings), report, die_with_parent=die_with_parent) as keeper:
        rotating = asyncio.create_task(_rotate_log(keeper), name="log of Asterisk")
        try:
            yield access_of(keeper.asterisk)
        finally:
            await cancel_and_wait(rotating)


async def _rotate_log(keeper: Keeper) -> None:
    """Nothing else bounds Asterisk's log."""
    while True:
        await asyncio.sleep(_ROTATE_EVERY_S)
        try:
            await keeper.asterisk.rotate_log()
        except (CommandFailed, OSError) as error:
            log.warning("the log of Asterisk could not be rotated: %s", error)
