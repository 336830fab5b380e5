"""The interface as OpenAPI describes it, tried by generated requests; and the socket's schema."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core import NotSet

from channels.web.fields import frame_schema
from channels.web.problems import KINDS
from storage.database import Database
from tests.browser.serving import Served
from tests.channels.customers import begin
from tests.channels.site import Site, signed
from tests.conftest import TurnedClock

PAGE = Path(__file__).parents[2] / "docs/web-channel.md"
DOWNLOAD = "/chat/messages/{message_id}/attachments/{n}"
OPERATIONS = {
    ("POST", "/chat/sessions"), ("POST", "/chat/messages"), ("GET", "/chat/messages"),
    ("POST", "/chat/files"), ("GET", DOWNLOAD),
}  # fmt: skip


def document(site: Site) -> dict[str, Any]:
    return site.app.openapi_schema.to_schema()


def test_the_public_contract_is_documented(site: Site):
    """Five operations, their errors with their URNs, and who needs the token."""
    paths = document(site)["paths"]
    found = {(verb.upper(), path) for path in paths for verb in paths[path]}
    post = paths["/chat/messages"]["post"]

    assert found == OPERATIONS
    assert {"201", "400", "401", "403", "409", "413", "415", "422", "429", "503"} <= set(
        post["responses"]
    )
    assert "urn:tandem:conflict" in post["responses"]["409"]["description"]
    assert post["security"] == [{"visitor": []}]


def test_inputs_are_documented_with_their_limits(site: Site):
    """What the server refuses, the schema refuses."""
    schemas = document(site)["components"]["schemas"]
    message = schemas["MessagePosted"]

    assert "40000" in json.dumps(message["properties"]["text"])
    assert set(schemas["ProblemBody"]["required"]) == {"type", "title", "detail"}


@pytest.fixture
def patient(database: Database, clock: TurnedClock) -> Iterator[tuple[Served, Site]]:
    """A chat that takes many requests and holds none back."""
    site = Site(database, clock, poll_wait_s_max=0.01, messages_per_minute=9_999,
                sessions_per_minute=9_999, reads_per_minute=9_999)  # fmt: skip
    served = Served(site.app)
    served.start()
    yield served, site
    served.stop()


async def test_generated_requests_get_documented_answers(patient: tuple[Served, Site]):
    """Valid and invalid requests from the schema: no 5xx, and nothing that is not in it."""
    served, site = patient
    token = await begin(served)
    schema = schemathesis.openapi.from_dict(document(site))
    failures: list[str] = []
    async with httpx.AsyncClient(base_url=served.url, verify=False) as client:
        for method, path in sorted(OPERATIONS):
            for case in _cases(schema[path][method]):
                answer = await client.request(
                    method, path.format(**(case.path_parameters or {})), params=case.query or None,
                    headers=signed(token, **{"Content-Type": "application/json"}),
                    content=_bytes(case.body) if method == "POST" else None,
                )  # fmt: skip
                documented = document(site)["paths"][path][method.lower()]["responses"]
                if str(answer.status_code) not in documented or answer.status_code >= 500:
                    failures.append(f"{method} {path} {case.query} {case.body!r}: {answer.text}")

    assert failures == []


def _bytes(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return b"" if isinstance(body, NotSet) else json.dumps(body).encode()


def _cases(operation: Any) -> list[Any]:
    """Some requests that fit an operation, and some that do not."""
    found: list[Any] = []

    def collect(case: Any) -> None:
        found.append(case)

    few = settings(
        max_examples=15, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )  # fmt: skip
    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
        few(given(operation.as_strategy(generation_mode=mode))(collect))()
    return found


def test_the_page_on_the_web_channel_shows_the_frames_as_they_are():
    """Every frame, with its fields, from the same types that the server sends."""
    blocks = re.findall(r"```json schema\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    assert [json.loads(block) for block in blocks] == [frame_schema()]


@pytest.mark.parametrize("name", KINDS)
def test_the_page_on_the_web_channel_names_every_error(name: str):
    """A client can look up each stable type."""
    assert f"`urn:tandem:{name}`" in PAGE.read_text("utf-8")
