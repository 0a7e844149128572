"""Every kind of configuration row in one table: the CLI, the API and the services are made from it.

A new kind of row is a model and an entry here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sqlmodel import SQLModel

from dcx_ari.services import (
    call_counts,
    campaign_keys,
    checks,
    documents,
    expiry,
    notices,
    publishing,
    row_filters,
    scheduled_rows,
    usage,
)
from dcx_ari.store import models as m
from dcx_ari.store.models.base import ConfigRow


@dataclass(frozen=True)
class Resource:
    """One kind of row.

    `name` is the plural used by the CLI, `path` the one under /api (`aliases` work too). `key` is the unique
    column a row may be named by instead of its id; `argument` the field that `add` takes first. `refs` maps
    a foreign key to the resource it names, whose rows may be given by id or by key. `columns` are shown in
    lists. `flags` are short CLI names for fields.
    """

    name: str
    singular: str
    help: str
    model: type[ConfigRow]
    fields: type[SQLModel]
    path: str
    argument: str
    columns: tuple[str, ...]
    key: str | None = "name"
    aliases: tuple[str, ...] = ()
    refs: Mapping[str, str] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    flags: Mapping[str, str] = field(default_factory=dict)
    unique: tuple[tuple[str, ...], ...] = ()
    copies: Mapping[str, str] = field(default_factory=dict)
    """Links taken along by a copy: resource name -> its column that names the copied row."""
    prepare: checks.Prepare = checks.nothing_to_prepare
    check: checks.Check = checks.nothing_to_check
    told: checks.Told | None = None
    """Tells the outside of a change, in its transaction."""
    wrote: checks.Wrote | None = None
    """What follows a row that was made or changed, in its transaction."""
    more: checks.More | None = None
    """Values worked out for a page of rows at once, shown beside the columns (call counts)."""
    prefix: str = ""
    """Two letters, other than every other kind's: short ids begin with them."""
    filters: Mapping[str, row_filters.Rule] = field(default_factory=dict)
    """Filters of its own beside its columns."""
    routing: bool = True
    """Whether routing depends on these rows: a change of one makes engines read the configuration anew."""
    empty: str = ""

    @property
    def table(self) -> str:
        return str(self.model.__tablename__)

    @property
    def writable(self) -> tuple[str, ...]:
        return tuple(self.fields.model_fields)

    @property
    def pausable(self) -> bool:
        return "status" in self.fields.model_fields and self.name != "flows"


def ref_name(column: str) -> str:
    """`campaign_id` -> `campaign`: the name under which a row may be given by its key."""
    return column.removesuffix("_id")


_ALL = (
    Resource(
        "trunks",
        "trunk",
        "Carriers: where calls come from and go to.",
        m.Trunk,
        m.TrunkFields,
        "trunks",
        "name",
        ("name", "host", "port", "transport", "is_default", "status"),
        secrets=frozenset({"password"}),
        flags={"default": "is_default"},
        prepare=checks.prepare_trunk,
        check=checks.check_trunk,
        prefix="TR",
        empty="dcx trunks add NAME --host sip.example.com --default",
    ),
    Resource(
        "numbers",
        "number",
        "Tracked numbers: what callers dial.",
        m.Number,
        m.NumberFields,
        "numbers",
        "phone_number",
        ("phone_number", "friendly_name", "campaign", "traffic_source", "forward_to", "status"),
        key="phone_number",
        aliases=("phone-numbers",),
        refs={"campaign_id": "campaigns", "traffic_source_id": "sources", "flow_id": "flows"},
        flags={"source": "traffic_source_id"},
        check=checks.check_number,
        prefix="NU",
        empty="dcx numbers add +15551234567 --campaign NAME",
    ),
    Resource(
        "campaigns",
        "campaign",
        "Campaigns: which buyers a call is offered to.",
        m.Campaign,
        m.CampaignFields,
        "campaigns",
        "name",
        ("name", "vertical", "status", "strategy", "flow", "record", "maxed_out"),
        refs={"flow_id": "flows", "schedule_id": "schedules"},
        copies={"campaign-buyers": "campaign_id"},
        more=usage.together(campaign_keys.of_campaigns, usage.usage_of(usage.CAMPAIGNS)),
        filters=row_filters.OF_CAMPAIGNS,
        prefix="CM",
        empty="dcx campaigns add NAME",
    ),
    Resource(
        "sources",
        "source",
        "Traffic sources: who sends the calls.",
        m.TrafficSource,
        m.TrafficSourceFields,
        "traffic-sources",
        "name",
        (
            *("name", "channel", "company", "status", "number_limit", "call_count", "recent_call_count"),
            *("last_call_at", "maxed_out"),
        ),
        aliases=("sources",),
        more=usage.together(call_counts.of_sources, usage.usage_of(usage.SOURCES)),
        prefix="TS",
        empty="dcx sources add NAME",
    ),
    Resource(
        "buyers",
        "buyer",
        "Buyers: who takes the calls and pays for them.",
        m.Buyer,
        m.BuyerFields,
        "buyers",
        "name",
        (
            *("name", "endpoint_value", "status", "tier", "weight", "revenue_cents", "concurrency_limit", "daily_cap"),
            *("monthly_cap", "maxed_out"),
        ),
        refs={"trunk_id": "trunks", "schedule_id": "schedules"},
        flags={"endpoint": "endpoint_value"},
        prepare=checks.prepare_buyer,
        check=checks.check_buyer,
        told=notices.buyer_changed,
        more=usage.usage_of(usage.BUYERS),
        prefix="BY",
        empty="dcx buyers add NAME --endpoint +15551234567",
    ),
    Resource(
        "groups",
        "group",
        "Groups of buyers that share caps.",
        m.BuyerGroup,
        m.BuyerGroupFields,
        "buyer-groups",
        "name",
        ("name", "routing_strategy", "status", "tier", "weight", "daily_cap", "concurrency_limit", "maxed_out"),
        aliases=("groups",),
        copies={"group-members": "group_id"},
        check=checks.check_group,
        more=usage.usage_of(usage.GROUPS),
        prefix="BG",
        empty="dcx groups add NAME --routing-strategy simultaneous",
    ),
    Resource(
        "schedules",
        "schedule",
        "Opening hours.",
        m.Schedule,
        m.ScheduleFields,
        "schedules",
        "name",
        ("name", "timezone", "weekly", "holidays"),
        check=checks.check_schedule,
        prefix="SC",
        empty="""dcx schedules add NAME --weekly '{"mon": [["09:00", "17:00"]]}'""",
    ),
    Resource(
        "suppressions",
        "suppression",
        "Callers who are refused, or always let through.",
        m.Suppression,
        m.SuppressionFields,
        "suppressions",
        "phone_number",
        ("phone_number", "list_type", "buyer", "reason", "expires_at", "active"),
        key=None,
        aliases=("suppression-lists",),
        refs={"buyer_id": "buyers"},
        unique=(("phone_number", "list_type", "buyer_id"),),
        prepare=checks.prepare_suppression,
        more=expiry.of_suppressions,
        prefix="SU",
        empty="dcx suppressions add +15551234567 --list-type blacklist --reason spam",
    ),
    Resource(
        "states",
        "state rule",
        "Rules by US state of the caller.",
        m.StateRule,
        m.StateRuleFields,
        "state-rules",
        "state_code",
        ("state_code", "buyer", "action", "consent_type"),
        key=None,
        aliases=("states",),
        refs={"buyer_id": "buyers"},
        unique=(("state_code", "buyer_id"),),
        prefix="SR",
        empty="dcx states add FL --action block",
    ),
    Resource(
        "flows",
        "flow",
        "Flow documents: what callers go through first.",
        m.Flow,
        m.FlowFields,
        "flows",
        "name",
        ("name", "status", "active_version"),
        check=documents.check_flow,
        wrote=publishing.on_write,
        more=publishing.active_versions,
        prefix="FL",
        empty="dcx flows add NAME --document @flow.yaml",
    ),
    Resource(
        "campaign-buyers",
        "attachment",
        "Buyers and groups attached to campaigns.",
        m.CampaignBuyer,
        m.CampaignBuyerFields,
        "campaign-buyers",
        "campaign_id",
        ("campaign", "buyer", "group", "tier", "weight", "status"),
        key=None,
        refs={"campaign_id": "campaigns", "buyer_id": "buyers", "group_id": "groups"},
        unique=(("campaign_id", "buyer_id", "group_id"),),
        prepare=checks.prepare_attachment,
        check=checks.check_attachment,
        prefix="CB",
        empty="dcx campaigns attach CAMPAIGN --buyer NAME",
    ),
    Resource(
        "group-members",
        "member",
        "Buyers in groups.",
        m.BuyerGroupMember,
        m.BuyerGroupMemberFields,
        "group-members",
        "group_id",
        ("group", "buyer", "priority", "weight"),
        key=None,
        refs={"group_id": "groups", "buyer_id": "buyers"},
        unique=(("group_id", "buyer_id"),),
        check=checks.check_member,
        prefix="GM",
        empty="dcx groups attach GROUP --buyer NAME",
    ),
    Resource(
        "contacts",
        "contact",
        "People behind callers' numbers.",
        m.Contact,
        m.ContactFields,
        "contacts",
        "phone_number",
        ("phone_number", "first_name", "last_name", "company", "tags"),
        key="phone_number",
        routing=False,
        prefix="CO",
        empty="dcx contacts add +15551234567 --first-name Ann",
    ),
    Resource(
        "call-tags",
        "call tag",
        "Tags that people put on calls.",
        m.CallTag,
        m.CallTagFields,
        "call-tags",
        "name",
        ("name", "color"),
        routing=False,
        prefix="CT",
        empty="dcx call-tags add follow-up --color '#ff8800'",
    ),
    Resource(
        "scheduled-reports",
        "scheduled report",
        "Reports that are sent by e-mail.",
        m.ScheduledReport,
        m.ScheduledReportFields,
        "scheduled-reports",
        "name",
        ("name", "frequency", "time_of_day", "group_by", "recipients", "format", "status", "next_run_at"),
        check=scheduled_rows.check,
        more=scheduled_rows.more,
        routing=False,
        prefix="RP",
        empty="dcx report schedule add NAME --recipients ann@example.com",
    ),
)

RESOURCES: Mapping[str, Resource] = MappingProxyType({resource.name: resource for resource in _ALL})
