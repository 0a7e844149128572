"""Write the contracts below schemas/ from the code that keeps them.

python tools/generate_schemas.py            write
python tools/generate_schemas.py --check    exit 1 where a file differs from what would be written
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from dcx_ari.api.openapi import document
from dcx_ari.app import api_routes
from dcx_ari.flows.schema import flow_schema
from dcx_ari.services.event_schemas import event_schemas
from dcx_ari.trial.cases import cases_schema

SCHEMAS = Path(__file__).parents[1] / "schemas"


def contracts() -> dict[str, str]:
    """File name → content."""
    found = {"flow.schema.json": flow_schema()}
    found["flow-tests.schema.json"] = cases_schema()
    found |= {f"webhooks/{name}.json": schema for name, schema in event_schemas().items()}
    found["openapi.json"] = document(api_routes())
    return {name: json.dumps(schema, indent=2, sort_keys=True) + "\n" for name, schema in found.items()}


def main() -> int:
    check = "--check" in sys.argv[1:]
    stale = []
    for name, content in contracts().items():
        path = SCHEMAS / name
        if path.exists() and path.read_text("utf-8") == content:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
    if stale and check:
        print(f"schemas/ is out of date ({', '.join(stale)}): run make generate")
    return 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
