"""The log: structured, on one line, without anything that opens a door."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logging import configure, escape, redact

TELEGRAM = "1234567890:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
SLACK = "xoxb-not-a-real-token-0123456789"
VISITOR = "dGhpcyBpcyBhIHZpc2l0b3IgdG9rZW4"
SECRETS = (TELEGRAM, SLACK, VISITOR)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("style", ["console", "json"])
def test_planted_secrets_never_reach_the_log(
    style: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tokens in addresses, headers, fields and exceptions are taken out, whoever logs them."""
    configure("debug", style)
    foreign, own = logging.getLogger("somebody"), structlog.get_logger("gateway")
    foreign.warning("GET https://api.telegram.org/bot%s/getMe", TELEGRAM)
    foreign.warning("Authorization: Bearer %s", VISITOR)
    foreign.warning("ws://host/socket?token=%s&after=3", VISITOR)
    foreign.warning("headers %r", {"cookie": f"session={VISITOR}", "x-slack-token": SLACK})
    own.warning("opened", token=VISITOR, slack_secret=SLACK)
    try:
        raise ValueError(f"refused {SLACK} at postgresql://tandem:{VISITOR}@db/tandem")
    except ValueError:
        own.exception("failed")
    written = capsys.readouterr().err

    assert written.count("[redacted]") >= 7
    assert [secret for secret in SECRETS if secret in written] == []
    assert "failed" in written


def test_a_request_line_of_the_http_client_is_not_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The client writes whole addresses at INFO; only its warnings pass."""
    configure("info", "console")
    logging.getLogger("httpx").info("HTTP Request: POST https://host/path")
    logging.getLogger("uvicorn.access").info("GET /chat/messages")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("style", ["console", "json"])
def test_a_line_cannot_be_forged(style: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Line ends and terminal orders inside a value are written as escapes."""
    configure("info", style)
    structlog.get_logger("gateway").info("took in", name="a\n12:00 error forged\x1b[2J")
    logging.getLogger("somebody").warning("a\nb")
    lines = capsys.readouterr().err.splitlines()

    assert len(lines) == 2
    assert "\x1b" not in "".join(lines)


def test_json_lines_can_be_read_by_a_machine(capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is one object with time, level, logger and the fields."""
    configure("info", "json")
    structlog.get_logger("gateway").info("event", token="t", seq=3)
    logging.getLogger("somebody").warning('said "token": "abc"')
    first, second = map(json.loads, capsys.readouterr().err.splitlines())

    assert (first["event"], first["seq"], first["level"]) == ("event", 3, "info")
    assert (second["logger"], "timestamp" in second) == ("somebody", True)


@given(st.text())
def test_an_escaped_text_is_one_line(text: str) -> None:
    """No character of any text ends a line or orders a terminal about."""
    assert len(escape(text).splitlines()) <= 1


@given(st.text(alphabet="abc 123.,", max_size=200))
def test_plain_words_are_not_redacted(text: str) -> None:
    """Redaction leaves ordinary text as it is."""
    assert redact(text) == text
