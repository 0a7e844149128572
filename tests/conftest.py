"""Which database the tests run on: those of a module marked `databases` on both. And which tests get a second chance:
those in real time, one rerun, which the summary names."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dcx_asterisk.fetch import ensure
from dcx_asterisk.servers import Postgres
from tests.databases import Databases, instead

USUAL = os.environ.get("DCX_TEST_ON", "sqlite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    of_node = {mark.name for mark in metafunc.definition.iter_markers()}
    if "databases" in of_node and "sqlite_only" not in of_node:
        kinds = ["sqlite", pytest.param("pg", marks=pytest.mark.pg)]
        metafunc.parametrize("dbms", kinds, indirect=True, scope="module")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real phones, servers and terminals in real time, on a machine that has other things to do, get a second chance;
    the summary says so. What runs in virtual time gets none, nor do pure functions.
    """
    for item in items:
        timeless = item.get_closest_marker("sim") is not None or "/unit/decide/" in item.path.as_posix()
        if not timeless and item.get_closest_marker("flaky") is None:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Databases]:
    """A PostgreSQL for the session, started by the first test that needs it."""
    # Not below pytest's own folder: that is root's alone where root runs the tests, and PostgreSQL is not root.
    with tempfile.TemporaryDirectory(prefix="dcx-tests-", ignore_cleanup_errors=True) as folder:
        server = Postgres(Path(folder), ensure("servers"))
        server.start()
        try:
            yield Databases(server)
        finally:
            server.stop(signal.SIGQUIT)  # at once: nobody needs what it would write first


@pytest.fixture(scope="module", autouse=True)
def dbms(request: pytest.FixtureRequest) -> Iterator[str]:
    """`sqlite` or `pg`. A module's own fixture that makes a database must ask for it."""
    kind = getattr(request, "param", USUAL)
    with pytest.MonkeyPatch.context() as patch:
        if kind == "pg":
            instead(request.getfixturevalue("postgres"), patch)
        yield kind


@pytest.fixture(autouse=True)
def _taken_back(dbms: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """The databases of this test; those that a module keeps are made before and not below the test's folder."""
    if dbms != "pg" or "tmp_path" not in request.fixturenames:
        yield
        return
    databases, folder = request.getfixturevalue("postgres"), request.getfixturevalue("tmp_path")
    yield
    databases.take_back(folder)
