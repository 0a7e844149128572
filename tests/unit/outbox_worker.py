"""A process that delivers the outbox of a database until it is killed: `outbox_worker.py DATABASE_URL`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from dcx_ari.integrations.mail import MailSender
from dcx_ari.outbox import Deliverer
from dcx_ari.store.db import open_database
from dcx_ari.store.targets import Targets, networks


async def main(url: str) -> None:
    database = open_database(url)
    nobody = MailSender(None, "", Path("/nowhere"))
    await Deliverer(database, Targets(networks("127.0.0.0/8")), nobody, lambda: time.time_ns() // 1_000_000).run()


asyncio.run(main(sys.argv[1]))
