"""Have Prefect tell an address what an operator should know: `python -P flows/notify.py URL`.

It makes four automations for one deployment, in the place of those that it made before. What they
tell holds no name of a source, folder or file but what an operator chose.
"""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from httpx import HTTPError
from prefect.automations import Automation, EventTrigger, Posture, SendNotification
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError

_ENDED_BADLY = {
    "prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut",
}  # fmt: skip
_COMPLETED = {"prefect.flow-run.Completed"}
_OF_RUN = "{{ flow_run.name }}: {{ flow_run.state.message }}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", nargs="?", help="where a JSON object is posted: {'text': ...}")
    parser.add_argument("--deployment", default="nightly")
    parser.add_argument("--within", type=float, default=26.0, metavar="HOURS")
    parser.add_argument("--off", action="store_true", help="tell nothing any more")
    chosen = parser.parse_args()
    try:
        forget(chosen.deployment)
        if not chosen.off:
            notify(chosen.url, chosen.deployment, timedelta(hours=chosen.within))
    except (HTTPError, PrefectHTTPStatusError, RuntimeError) as error:
        print(f"dicomhouse: Prefect, as configured: {type(error).__name__}. Start the server, or "
              "mend PREFECT_API_URL or PREFECT_API_AUTH_STRING.", file=sys.stderr)  # fmt: skip
        return 9
    return 0


def notify(url: str, deployment: str, within: timedelta) -> None:
    """Make the automations of a deployment.

    Args:
        url: gets `{"text": ...}` by POST, as Slack, Mattermost and others take it.
        deployment: its name.
        within: a run that succeeds is due within this time after the last one that did.
    """
    hook = CustomWebhookNotificationBlock(
        name="dicomhouse",
        url=url,
        json_data={"text": "{{subject}}\n{{body}}"},
        headers=None,
        cookies=None,
    )
    block = cast(UUID, hook.save(_prefix(deployment).replace(" ", "-"), overwrite=True))
    triggers: dict[str, tuple[dict[str, Any], str]] = {
        "failed": ({"expect": _ENDED_BADLY}, _OF_RUN),
        "new errors": (
            {"expect": {"dicomhouse.findings.new-errors"}},
            "{{ flow_run.name }}: {{ event.resource['prefect.resource.name'] }}",
        ),
        "late": (
            {"expect": {"prefect.flow-run.Late"}},
            "A run that was due has not begun. Does the schedule's process run?",
        ),
        "did not come": (
            {"after": _COMPLETED, "expect": _COMPLETED, "posture": Posture.Proactive,
             "within": within},
            f"No run has succeeded within {within} of the last one that did.",
        ),
    }  # fmt: skip
    of_deployment: dict[str, str | list[str]] = {
        "prefect.resource.role": "deployment",
        "prefect.resource.name": deployment,
    }
    for name, (trigger, body) in triggers.items():
        title = f"{_prefix(deployment)} {name}"
        Automation(
            name=title,
            description="Made by `dicomhouse notify`, which replaces it.",
            trigger=EventTrigger(match_related=of_deployment, threshold=1, **trigger),
            actions=[SendNotification(block_document_id=block, subject=title, body=body)],
        ).create()


def forget(deployment: str) -> None:
    """Remove the automations that this made of a deployment."""
    with get_client(sync_client=True) as client:
        for automation in client.read_automations():
            if automation.name.startswith(f"{_prefix(deployment)} "):
                client.delete_automation(automation.id)


def _prefix(deployment: str) -> str:
    return f"dicomhouse {deployment}"


if __name__ == "__main__":
    sys.exit(main())
