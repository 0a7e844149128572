"""What we rely on in Asterisk, as scenarios that run on the fake and on the real one."""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.contract.{name}" for name in ("apps", "bridges", "calls", "legs", "objects", "playbacks", "recordings"))
)
