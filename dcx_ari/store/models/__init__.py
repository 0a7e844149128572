"""Every table, by subject."""

from sqlmodel import SQLModel

from dcx_ari.store.models.audit import AuditEntry, AuditHead
from dcx_ari.store.models.base import default_in_database
from dcx_ari.store.models.buyers import Buyer, BuyerFields
from dcx_ari.store.models.call_log import CallNote, CarrierLookup, LegalHold
from dcx_ari.store.models.call_session_tags import CallSessionTag
from dcx_ari.store.models.call_tags import CallTag, CallTagFields
from dcx_ari.store.models.callbacks import Callback, CallbackFields
from dcx_ari.store.models.calls import Call, CallEvent, DecisionTables, Leg, Recording
from dcx_ari.store.models.campaign_keys import CampaignKey, KeyKind
from dcx_ari.store.models.campaigns import Campaign, CampaignBuyer, CampaignBuyerFields, CampaignFields
from dcx_ari.store.models.contacts import Contact, ContactFields
from dcx_ari.store.models.flows import Flow, FlowFields, FlowVersion
from dcx_ari.store.models.groups import BuyerGroup, BuyerGroupFields, BuyerGroupMember, BuyerGroupMemberFields
from dcx_ari.store.models.idempotency import IdempotencyKey
from dcx_ari.store.models.installation import Installation
from dcx_ari.store.models.jobs import Claim, JobRun, Lease
from dcx_ari.store.models.keys import ApiKey
from dcx_ari.store.models.numbers import Number, NumberFields
from dcx_ari.store.models.outbox import OutboxAttempt, OutboxRow
from dcx_ari.store.models.prompts import Prompt, PromptFields
from dcx_ari.store.models.retention import RetentionRule, RetentionRuleFields
from dcx_ari.store.models.scheduled_reports import ScheduledReport, ScheduledReportFields
from dcx_ari.store.models.schedules import Schedule, ScheduleFields
from dcx_ari.store.models.sources import TrafficSource, TrafficSourceFields
from dcx_ari.store.models.states import StateRule, StateRuleFields
from dcx_ari.store.models.suppressions import Suppression, SuppressionFields
from dcx_ari.store.models.trunks import Trunk, TrunkFields
from dcx_ari.store.models.usage_snapshots import BuyerUsageSnapshot
from dcx_ari.store.models.users import AccessRole, Company, Invitation, NotificationPreference, User, UserSession
from dcx_ari.store.models.velocity import VelocityRule, VelocityRuleFields
from dcx_ari.store.models.versions import ConfigVersion
from dcx_ari.store.models.views import SavedView, SavedViewFields
from dcx_ari.store.models.voicemails import Voicemail
from dcx_ari.store.models.webhooks import WebhookEndpoint, WebhookEndpointFields
from dcx_ari.store.models.wizard_drafts import WizardDraft
from dcx_ari.store.models.workers import Worker

TABLES = (
    "trunks",
    "flows",
    "flow_versions",
    "schedules",
    "traffic_sources",
    "campaigns",
    "buyers",
    "buyer_groups",
    "buyer_group_members",
    "campaign_buyers",
    "numbers",
    "suppression_lists",
    "state_rules",
    "api_keys",
    "audit_entries",
    "audit_head",
    "roles",
    "users",
    "user_sessions",
    "invitations",
    "notification_preferences",
    "company_settings",
    "config_version",
    "calls",
    "decision_tables",
    "legs",
    "call_events",
    "recordings",
    "call_notes",
    "prompts",
    "voicemails",
    "legal_holds",
    "carrier_lookups",
    "callback_requests",
    "recording_retention_rules",
    "webhook_endpoints",
    "outbox",
    "outbox_attempts",
    "leases",
    "claims",
    "job_runs",
    "contacts",
    "call_tags",
    "call_session_tags",
    "saved_views",
    "buyer_usage_snapshots",
    "campaign_keys",
    "idempotency_keys",
    "scheduled_reports",
    "velocity_rule",
    "wizard_drafts",
    "workers",
    "installation",
)

__all__ = [
    "TABLES",
    "AccessRole",
    "ApiKey",
    "AuditEntry",
    "AuditHead",
    "Buyer",
    "BuyerFields",
    "BuyerGroup",
    "BuyerGroupFields",
    "BuyerGroupMember",
    "BuyerGroupMemberFields",
    "BuyerUsageSnapshot",
    "Call",
    "CallEvent",
    "CallNote",
    "CallSessionTag",
    "CallTag",
    "CallTagFields",
    "Callback",
    "CallbackFields",
    "Campaign",
    "CampaignBuyer",
    "CampaignBuyerFields",
    "CampaignFields",
    "CampaignKey",
    "CarrierLookup",
    "Claim",
    "Company",
    "ConfigVersion",
    "Contact",
    "ContactFields",
    "DecisionTables",
    "Flow",
    "FlowFields",
    "FlowVersion",
    "IdempotencyKey",
    "Installation",
    "Invitation",
    "JobRun",
    "KeyKind",
    "Lease",
    "Leg",
    "LegalHold",
    "NotificationPreference",
    "Number",
    "NumberFields",
    "OutboxAttempt",
    "OutboxRow",
    "Prompt",
    "PromptFields",
    "Recording",
    "RetentionRule",
    "RetentionRuleFields",
    "SavedView",
    "SavedViewFields",
    "Schedule",
    "ScheduleFields",
    "ScheduledReport",
    "ScheduledReportFields",
    "StateRule",
    "StateRuleFields",
    "Suppression",
    "SuppressionFields",
    "TrafficSource",
    "TrafficSourceFields",
    "Trunk",
    "TrunkFields",
    "User",
    "UserSession",
    "VelocityRule",
    "VelocityRuleFields",
    "Voicemail",
    "WebhookEndpoint",
    "WebhookEndpointFields",
    "WizardDraft",
    "Worker",
]

default_in_database(SQLModel.metadata.tables[name] for name in TABLES)
