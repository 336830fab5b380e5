"""What every channel has to show: how its events read, from payloads kept beside the tests."""

import json
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import channels
from gateway.messages import RawEvent

PAYLOADS = Path(__file__).parent / "payloads"
KINDS = ("text", "button", "edit", "duplicate", "attachment", "echo")


def names() -> list[str]:
    """Every channel there is: a new file is found by itself."""
    return sorted(module.name for module in pkgutil.iter_modules(channels.__path__))


def section(channel: str) -> dict[str, Any]:
    """The smallest section that the channel works with."""
    file = PAYLOADS / channel / "section.json"
    return json.loads(file.read_text("utf-8")) if file.is_file() else {}


@dataclass(frozen=True, slots=True)
class Payload:
    """An event as it comes, and what it has to be read as. `never` says why there is none."""

    event: RawEvent | None
    message: dict[str, Any] | None
    attachments: tuple[str, ...]
    never: str | None


def payload(channel: str, kind: str) -> Payload:
    raw = json.loads((PAYLOADS / channel / f"{kind}.json").read_text("utf-8"))
    if reason := raw.get("never"):
        return Payload(None, None, (), reason)
    event = raw["event"]
    return Payload(
        RawEvent(
            channel=channel, account="main", external_id=event["external_id"],
            headers=event["headers"], body=_bytes(event["body"]),
        ),
        raw["message"], tuple(raw.get("attachments", ())), None,
    )  # fmt: skip


def _bytes(body: Any) -> bytes:
    """JSON, or a text with the line ends of the internet for a network that speaks no JSON."""
    if isinstance(body, list):
        return "\r\n".join(body).encode()
    return json.dumps(body, ensure_ascii=False).encode()
