"""People who log in: users, their sessions, roles, invitations, and what they want to be told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, StringConstraints
from sqlalchemy import Column, ForeignKey, Integer
from sqlmodel import Field, SQLModel

from dcx_ari.store.fields import Line
from dcx_ari.store.models.base import AUTOINCREMENT, choice, json_field, one_of
from dcx_ari.store.models.keys import RoleName
from dcx_ari.store.types import Millis

UserStatus = Literal["ACTIVE", "INACTIVE"]
InvitationStatus = Literal["pending", "accepted", "expired"]


def _user(*, primary_key: bool = False) -> Any:
    key = ForeignKey("users.id", ondelete="CASCADE")
    return Field(sa_column=Column(Integer, key, primary_key=primary_key, nullable=False, index=not primary_key))


def email(value: str) -> str:
    """The address in lower case, its domain in ASCII; a name beside it is refused."""
    try:
        found = validate_email(value, check_deliverability=False, allow_smtputf8=False, globally_deliverable=False)
    except EmailNotValidError:
        raise ValueError("must be an e-mail address such as ann@example.com") from None
    return f"{found.ascii_local_part}@{found.ascii_domain}".lower()


Email = Annotated[str, StringConstraints(max_length=255), AfterValidator(email)]


class UserFields(SQLModel):
    """`buyer_id`, `traffic_source_id`: as with keys, tied to that one; no foreign keys for the same reason."""

    email: Email = Field(unique=True, description="E-mail address, to log in with")
    name: Line = Field(default="", description="Name")
    role: RoleName = Field(default="viewer", description="admin, manager, agent, viewer, or a role of your own")
    status: UserStatus = choice("ACTIVE", "ACTIVE or INACTIVE: cannot log in")
    buyer_id: int | None = Field(default=None, description="Sees only what belongs to this buyer")
    traffic_source_id: int | None = Field(default=None, description="Sees only what belongs to this traffic source")


class User(UserFields, table=True):
    __tablename__ = "users"
    __table_args__ = (one_of("status", UserStatus), AUTOINCREMENT)

    id: int | None = Field(default=None, primary_key=True)
    password_hash: str | None = Field(default=None, description="Argon2id; none: cannot log in yet")
    created_at: int = Field(default=0, sa_type=Millis)
    updated_at: int = Field(default=0, sa_type=Millis)
    last_login_at: int | None = Field(default=None, sa_type=Millis)


class UserSession(SQLModel, table=True):
    """A login. Only the token's hash is kept."""

    __tablename__ = "user_sessions"
    __table_args__: Any = AUTOINCREMENT

    id: int | None = Field(default=None, primary_key=True)
    user_id: int = _user()
    token_hash: str = Field(unique=True, description="SHA-256 of the token, hexadecimal")
    created_at: int = Field(sa_type=Millis)
    expires_at: int = Field(sa_type=Millis)
    address: str | None = None


class AccessRole(SQLModel, table=True):
    """A role of one's own; those that are built in are not rows."""

    __tablename__ = "roles"
    __table_args__: Any = AUTOINCREMENT

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(unique=True)
    permissions: list[str] = json_field(list[str], "Patterns such as campaigns.*", factory=list)
    created_at: int = Field(default=0, sa_type=Millis)


class Invitation(SQLModel, table=True):
    """The token (64 characters) is in the e-mail only; here is its hash."""

    __tablename__ = "invitations"
    __table_args__ = (one_of("status", InvitationStatus), AUTOINCREMENT)

    id: int | None = Field(default=None, primary_key=True)
    email: str
    role: str
    token_hash: str = Field(unique=True)
    invited_by: str = Field(default="", description="Who invited, in words")
    status: InvitationStatus = choice("pending", "pending, accepted or expired")
    buyer_id: int | None = None
    traffic_source_id: int | None = None
    expires_at: int = Field(sa_type=Millis)
    created_at: int = Field(sa_type=Millis)


class NotificationPreference(SQLModel, table=True):
    """What a user wants to be told, and how; the row is made with the user."""

    __tablename__ = "notification_preferences"

    user_id: int = _user(primary_key=True)
    email_enabled: bool = True
    sms_enabled: bool = False
    slack_enabled: bool = False
    notify_call_maxed_out: bool = True
    notify_buyer_offline: bool = True
    notify_daily_summary: bool = True
    notify_conversion: bool = False


class Company(SQLModel, table=True):
    """How this company writes dates and money; one row. Its time zone is the setting DCX_TIMEZONE."""

    __tablename__ = "company_settings"

    id: int = Field(default=1, primary_key=True)
    date_format: str = "MM/DD/YYYY"
    currency: str = "USD"
    locale: str = "en-US"
