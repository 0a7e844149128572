"""Reports that are sent by themselves."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

JSON = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
CHECKS = {
    "frequency": "frequency IN ('daily', 'weekly', 'monthly')",
    "weekday": "weekday IN ('mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun')",
    "format": "format IN ('csv', 'excel', 'pdf')",
    "status": "status IN ('ACTIVE', 'INACTIVE')",
    "month_day": "month_day BETWEEN 1 AND 31",
}
DEFAULTS = {"time_of_day": "08:00", "group_by": "buyer", "date_range": "", "planned_for": ""}
CHOICES = {"frequency": "daily", "weekday": "mon", "format": "csv", "status": "ACTIVE"}


def upgrade() -> None:
    moments = [sa.Column(name, sa.BigInteger(), nullable=True) for name in ("next_run_at", "last_run_at")]
    written = [
        sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
        for name in ("created_at", "updated_at")
    ]
    op.create_table(
        "scheduled_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        *written,
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        *(_text(name, default, sa.Text()) for name, default in CHOICES.items()),
        *(_text(name, default, sa.String()) for name, default in DEFAULTS.items()),
        sa.Column("month_day", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("timezone", sa.String(), nullable=True),
        sa.Column("filter_config", JSON, server_default=sa.text("'{}'"), nullable=False),
        sa.Column("recipients", JSON, server_default=sa.text("'[]'"), nullable=False),
        *moments,
        sa.Column("last_error", sa.Text(), nullable=True),
        *(sa.CheckConstraint(rule, name=op.f(f"ck_scheduled_reports_{column}")) for column, rule in CHECKS.items()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scheduled_reports")),
        sa.UniqueConstraint("name", name=op.f("uq_scheduled_reports_name")),
        sqlite_autoincrement=True,
    )


def _text(name: str, default: str, kind: sa.types.TypeEngine[str]) -> sa.Column[str]:
    return sa.Column(name, kind, server_default=sa.text(f"'{default}'"), nullable=False)


def downgrade() -> None:
    op.drop_table("scheduled_reports")
