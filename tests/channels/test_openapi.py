"""The interface as OpenAPI describes it, tried by generated requests; and the socket's schema."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from channels.web.fields import frame_schema
from channels.web.problems import KINDS
from tests.channels.customers import begin
from tests.channels.site import Site, signed

PAGE = Path(__file__).parents[2] / "docs/web-channel.md"
OPERATIONS = {("POST", "/chat/sessions"), ("POST", "/chat/messages"), ("GET", "/chat/messages")}


def document(site: Site) -> dict[str, Any]:
    return site.app.openapi_schema.to_schema()


def test_the_public_contract_is_documented(site: Site):
    """Three operations, their errors with their URNs, and who needs the token."""
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

    assert message["additionalProperties"] is False
    assert "40000" in json.dumps(message["properties"]["text"])
    assert set(schemas["ProblemBody"]["required"]) == {"type", "title", "detail"}


async def test_generated_requests_get_documented_answers(served, site: Site):
    """Valid and invalid requests from the schema: no 5xx, and nothing that is not in it."""
    token = await begin(served)
    schema = schemathesis.openapi.from_dict(document(site))
    failures: list[str] = []
    async with httpx.AsyncClient(base_url=served.url, verify=False) as client:
        for method, path in sorted(OPERATIONS):
            for case in _cases(schema[path][method]):
                answer = await client.request(
                    method, path, params=case.query or None,
                    headers=signed(token, **{"Content-Type": "application/json"}),
                    content=json.dumps(case.body) if method == "POST" else None,
                )  # fmt: skip
                documented = document(site)["paths"][path][method.lower()]["responses"]
                if str(answer.status_code) not in documented or answer.status_code >= 500:
                    failures.append(f"{method} {path} {case.query} {case.body!r}: {answer.text}")

    assert failures == []


def _cases(operation: Any) -> list[Any]:
    """Some requests that fit an operation, and some that do not."""
    found: list[Any] = []
    for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

        @settings(
            max_examples=15, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(operation.as_strategy(generation_mode=mode))
        def collect(case: Any, found: list[Any] = found) -> None:
            found.append(case)

        collect()
    return found


def test_the_page_on_the_web_channel_shows_the_frames_as_they_are():
    """Every frame, with its fields, from the same types that the server sends."""
    blocks = re.findall(r"```json schema\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

    assert [json.loads(block) for block in blocks] == [frame_schema()]


@pytest.mark.parametrize("name", KINDS)
def test_the_page_on_the_web_channel_names_every_error(name: str):
    """A client can look up each stable type."""
    assert f"`urn:tandem:{name}`" in PAGE.read_text("utf-8")

