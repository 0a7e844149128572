"""Access and audit: who may do what, and who did."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TABLES = (
    *("audit_entries", "audit_head", "roles", "users", "user_sessions", "invitations"),
    *("notification_preferences", "company_settings"),
)


def upgrade() -> None:
    _audit()
    _keys()
    _people()
    _settings()


def _keys() -> None:
    """New columns; a role may now be one of one's own. Keys that are there already keep having no limit."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    # SQLite cannot drop the CHECK on `role` otherwise
    with op.batch_alter_table(
        "api_keys",
        recreate="always" if sqlite else "auto",
        table_kwargs={"sqlite_autoincrement": True} if sqlite else {},
    ) as table:
        table.drop_constraint(op.f("ck_api_keys_role"), type_="check")
        table.add_column(sa.Column("last_used_ip", sa.String(), nullable=True))
        table.add_column(sa.Column("rate_limit_per_minute", sa.Integer(), server_default=sa.text("60"), nullable=False))
        table.add_column(sa.Column("allowed_ip_ranges", JSON, server_default=sa.text("'[]'"), nullable=False))
        table.add_column(sa.Column("expires_at", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("buyer_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("traffic_source_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("previous_hash", sa.String(), nullable=True))
        table.add_column(sa.Column("previous_until", sa.BigInteger(), nullable=True))
        table.create_unique_constraint(op.f("uq_api_keys_previous_hash"), ["previous_hash"])
    op.execute("UPDATE api_keys SET rate_limit_per_minute = 0")


def _people() -> None:
    op.create_table(
        "roles",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("permissions", JSON, server_default=sa.text("'[]'"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_roles")),
        sa.UniqueConstraint("name", name=op.f("uq_roles_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=True),
        sa.Column("role", sa.String(), server_default=sa.text("'viewer'"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'ACTIVE'"), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("traffic_source_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_login_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("status IN ('ACTIVE', 'INACTIVE')", name=op.f("ck_users_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "user_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_user_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_sessions")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_user_sessions_token_hash")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["user_id"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("invited_by", sa.String(), server_default=sa.text("''"), nullable=False),
        sa.Column("status", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("buyer_id", sa.Integer(), nullable=True),
        sa.Column("traffic_source_id", sa.Integer(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'accepted', 'expired')", name=op.f("ck_invitations_status")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_invitations_token_hash")),
        sqlite_autoincrement=True,
    )


def _settings() -> None:
    op.create_table(
        "notification_preferences",
        sa.Column("user_id", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Boolean(), server_default=sa.text(default), nullable=False)
            for name, default in (
                ("email_enabled", "true"),
                ("sms_enabled", "false"),
                ("slack_enabled", "false"),
                ("notify_call_maxed_out", "true"),
                ("notify_buyer_offline", "true"),
                ("notify_daily_summary", "true"),
                ("notify_conversion", "false"),
            )
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_notification_preferences_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_notification_preferences")),
    )
    company = op.create_table(
        "company_settings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("date_format", sa.String(), server_default=sa.text("'MM/DD/YYYY'"), nullable=False),
        sa.Column("currency", sa.String(), server_default=sa.text("'USD'"), nullable=False),
        sa.Column("locale", sa.String(), server_default=sa.text("'en-US'"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_company_settings")),
    )
    op.bulk_insert(company, [{"id": 1}])


def _audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("resource_type", sa.String(), nullable=False),
        sa.Column("resource_id", sa.String(), nullable=True),
        sa.Column("actor_kind", sa.String(), nullable=False),
        sa.Column("actor_id", sa.String(), nullable=True),
        sa.Column("actor_name", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("changes", sa.String(), nullable=False),
        sa.Column("previous", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    for name, columns in {
        "resource": ["resource_type", "resource_id", "id"],
        "action": ["action", "id"],
        "actor": ["actor_kind", "actor_id", "id"],
        "at": ["at"],
    }.items():
        op.create_index(f"ix_audit_entries_{name}", "audit_entries", columns, unique=False)
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_entries_no_{verb.lower()} BEFORE {verb} ON audit_entries "
                "BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END"
            )
        return
    op.execute(  # the function is made by 0003
        "CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION dcx_append_only()"
    )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    sqlite = op.get_bind().dialect.name == "sqlite"
    with op.batch_alter_table(
        "api_keys", recreate="always" if sqlite else "auto", table_kwargs={"sqlite_autoincrement": True}
    ) as keys:
        keys.drop_constraint(op.f("uq_api_keys_previous_hash"), type_="unique")
        for name in ("previous_until", "previous_hash", "traffic_source_id", "buyer_id", "expires_at"):
            keys.drop_column(name)
        for name in ("allowed_ip_ranges", "rate_limit_per_minute", "last_used_ip"):
            keys.drop_column(name)
        keys.create_check_constraint(op.f("ck_api_keys_role"), "role IN ('admin', 'manager', 'agent', 'viewer')")
