"""How the process writes its log: structured events through the standard library, on stderr.

An event is a name with fields. It never carries the text of a message or a credential; what a
library might let slip is taken out here, for every logger, before anything is written.
"""

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import structlog

# Loggers that write whole addresses (with tokens in them), texts, or one line per request.
_TALKATIVE = (
    "httpx",
    "httpcore",
    "telegram",
    "uvicorn.access",
    "uvicorn.error",
    "chromadb",
    "sentence_transformers",
    "alembic",
)
_REDACTED = "[redacted]"
_SECRET_SHAPES = re.compile(
    r"(?i:(?<=bearer )[^\s\"',;]+)"
    r"|(?i:(?<=basic )[a-z0-9+/=]{8,})"
    r"|(?<!\d)\d{6,12}:[A-Za-z0-9_-]{30,}"  # Telegram
    r"|\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{10,}"  # Slack
    r"|\bsk-[A-Za-z0-9_-]{16,}"  # model services
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"  # signed identities
)
_SECRET_VALUES = re.compile(
    r"(?i)((?:[a-z0-9]+[_-])*(?:token|secret|password|passwd|api_?key|cookie|session)"
    r"[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,;]+)"
)
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^:/@\s]*:)[^@/\s]+@")
_SECRET_FIELD = re.compile(r"(?i)(?:^|_)(token|secret|password|authorization|cookie|key)$")
# Line ends and terminal orders in a value would let a customer forge lines.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_CHARS_MAX = 20_000  # of one value; a traceback fits


def configure(level: str = "info", style: Literal["console", "json"] = "console") -> None:
    """Set the root logger up, replacing its handlers. Call once, in each process, at its start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(style))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in ("uvicorn", "uvicorn.error", "litestar"):  # they bring handlers of their own
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def redact(text: str) -> str:
    """`text` without anything that looks like a credential."""
    text = _SECRET_SHAPES.sub(_REDACTED, text)
    text = _SECRET_VALUES.sub(rf"\g<1>{_REDACTED}", text)
    return _URL_PASSWORD.sub(rf"\g<1>{_REDACTED}@", text)


def escape(text: str) -> str:
    """`text` on one line, control characters written as `\\n`, `\\x1b`, …"""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _formatter(style: Literal["console", "json"]) -> logging.Formatter:
    render: structlog.typing.Processor = _console
    if style == "json":
        render = structlog.processors.JSONRenderer(serializer=json.dumps, ensure_ascii=False)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *_common()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _safe,
            render,
        ],
    )


def _common() -> list[structlog.typing.Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _safe(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Every value redacted, short and (a traceback apart) on one line, before it is rendered."""
    for key, value in event.items():
        if _SECRET_FIELD.search(key):
            event[key] = _REDACTED
        elif value is not None and not isinstance(value, bool | int | float):
            text = redact(str(value))[:_CHARS_MAX]
            event[key] = text if key == "exception" else escape(text)
    return event


def _console(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> str:
    time, level = str(event.pop("timestamp", "")), str(event.pop("level", ""))
    name, what = str(event.pop("logger", "")), str(event.pop("event", ""))
    trace = event.pop("exception", "")
    fields = " ".join(f"{key}={value}" for key, value in event.items())
    line = f"{time[11:23]} {level:<7} {name}: {what} {fields}".rstrip()
    return "\n    ".join([line, *(escape(part) for part in str(trace).splitlines() if part)])
