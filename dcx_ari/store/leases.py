"""Leases and claims: how processes agree on who works, and on what was done already."""

from __future__ import annotations

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from dcx_ari.store.db import Database
from dcx_ari.store.models.jobs import Claim, JobRun, Lease


async def take(database: Database, name: str, holder: str, now: int, until: int) -> bool:
    """Take the lease, or keep it, until `until` (epoch ms); False while another's has not run out. Raises StoreError.

    Who does not hold it only reads, so that waiting costs no write.
    """
    async with database.read() as session:
        lease = (await session.exec(select(Lease).where(col(Lease.name) == name))).first()
    if lease is not None and lease.holder != holder and lease.until_at > now:
        return False
    free = or_(col(Lease.holder) == holder, col(Lease.until_at) <= now)
    async with database.write() as session:
        taken = update(Lease).where(col(Lease.name) == name, free).values(holder=holder, until_at=until)
        if (await session.exec(taken)).rowcount:
            return True
        return await _insert(session, Lease, {"name": name, "holder": holder, "until_at": until}, "name")


async def keep(database: Database, name: str, holder: str, until: int) -> bool:
    """Hold on to a lease that we have; False where another has it by now. Raises StoreError."""
    mine = update(Lease).where(col(Lease.name) == name, col(Lease.holder) == holder).values(until_at=until)
    async with database.write_connection() as connection:
        return bool((await connection.execute(mine)).rowcount)


async def give_back(database: Database, name: str, holder: str) -> None:
    """Let another take the lease at once. Raises StoreError."""
    async with database.write() as session:
        await session.exec(update(Lease).where(col(Lease.name) == name, col(Lease.holder) == holder).values(until_at=0))


async def claim(session: AsyncSession, key: str, at: int, *, keep_until: int | None = None) -> bool:
    """True for the one transaction that is to do what `key` names; it is claimed if and when that commits.

    `keep_until` (epoch ms) is how long the key is remembered; None: for ever.
    """
    return await _insert(session, Claim, {"key": key, "at": at, "keep_until": keep_until}, "key")


async def forget_claims(session: AsyncSession, now: int) -> int:
    """Remove claims whose time is over; how many."""
    gone = delete(Claim).where(col(Claim.keep_until) < now)
    return int((await session.exec(gone)).rowcount)


async def record_run(database: Database, name: str, ran_at: int, next_at: int, error: str | None) -> None:
    """Write down when a job ran last. Raises StoreError."""
    values = {"ran_at": ran_at, "next_at": next_at, "error": error}
    async with database.write() as session:
        if not (await session.exec(update(JobRun).where(col(JobRun.name) == name).values(values))).rowcount:
            await _insert(session, JobRun, {"name": name, **values}, "name")


async def _insert(
    session: AsyncSession, model: type[Lease | Claim | JobRun], values: dict[str, object], key: str
) -> bool:
    connection = await session.connection()
    insert = insert_postgresql if connection.dialect.name == "postgresql" else insert_sqlite
    return bool(
        (await session.exec(insert(model).values(values).on_conflict_do_nothing(index_elements=[key]))).rowcount
    )
