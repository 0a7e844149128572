"""What the ledger could not be told is told later, in order and once."""

from __future__ import annotations

import asyncio

import pytest

from dcx_ari.owed import Owed
from dcx_ari.store.errors import StoreError
from dcx_ari.store.ledger import BadEntry

pytestmark = pytest.mark.unit


class Book:
    """A ledger that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.told: list[str] = []

    async def tell(self, what: str) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise StoreError("away", retry=True)
        if what == "bad":
            raise BadEntry("bad")
        self.told.append(what)


async def test_in_order_and_once() -> None:
    owed, book = Owed(), Book()
    await owed.add(lambda: book.tell("answered"), "c")
    book.away = True
    await owed.add(lambda: book.tell("sold"), "c")
    await owed.add(lambda: book.tell("settled"), "c")
    with pytest.raises(StoreError):
        await owed.pay()
    book.away = False
    await asyncio.gather(owed.add(lambda: book.tell("last"), "c"), owed.pay(), owed.pay())
    assert book.told == ["answered", "sold", "settled", "last"]
    assert not owed


async def test_what_is_refused_keeps_nothing_else_back() -> None:
    owed, book = Owed(), Book()
    with pytest.raises(BadEntry):
        await owed.add(lambda: book.tell("bad"), "c")
    await owed.add(lambda: book.tell("good"), "c")
    assert book.told == ["good"]


async def test_what_was_cancelled_is_done_again() -> None:
    owed, book = Owed(), Book()
    task = asyncio.ensure_future(owed.add(lambda: book.tell("sold"), "c"))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await owed.pay()
    assert book.told == ["sold"]
