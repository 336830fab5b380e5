"""A signed-in browser in the tests: an HTTP client that remembers its page's origin."""

from typing import Any

from litestar.testing import AsyncTestClient

from tests.agent_inbox.bench import PASSWORD, Bench

Client = AsyncTestClient[Any]
API = "/console/api"
JSON = {"content-type": "application/json"}


async def sign_in(client: Client, name: str, password: str = PASSWORD) -> None:
    """Sign NAME@example.com in; the cookie stays in the client."""
    answer = await client.post(
        f"{API}/sign-in", json={"email": f"{name}@example.com", "password": password}
    )
    assert answer.status_code == 200, answer.text


async def thread(client: Client, bench: Bench, visitor: str = "v1") -> dict[str, Any]:
    """The visitor's conversation as the console shows it."""
    found = await bench.world.conversation(visitor)
    answer = await client.get(f"{API}/conversations/{found.id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def view_of(shown: dict[str, Any]) -> dict[str, int]:
    return {"epoch": shown["epoch"], "seen_seq": shown["newest_seq"]}
