"""`tandem agents`: the people who answer."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from commands.deployment import Deployment
from commands.line import Server
from commands.screen import print_json, print_table, say

if TYPE_CHECKING:
    from storage.database import Database


def add(file: Path | None, email: str, *, name: str, admin: bool) -> None:
    """Add a person and print the link with which they set their password."""
    deployment = Deployment.read(file)
    person = {
        "email": email,
        "name": name or email.partition("@")[0],
        "role": "admin" if admin else "agent",
    }
    if _server_runs(deployment):
        server = Server(deployment.folders.admin_socket)
        member, url = server.call("POST", "/agents", person), server.call("GET", "/status")["url"]
    else:
        member, url = _add_here(deployment, person), ""
    say(f"{member['name']} <{member['email']}> is added as {member['role']}.")
    say(f"They set their password at {url or '<the server>'}{member['path']} (works once)")


def list_agents(file: Path | None, *, json: bool) -> None:
    """Print everybody."""
    deployment = Deployment.read(file)
    if _server_runs(deployment):
        members: list[Any] = Server(deployment.folders.admin_socket).call("GET", "/agents")
    else:
        members = _list_here(deployment)
    if json:
        print_json(members)
        return
    print_table(
        ("name", "e-mail", "role", "state"),
        [(m["name"], m["email"], m["role"], _state(m)) for m in members],
    )


def _state(member: dict[str, Any]) -> str:
    if not member["enabled"]:
        return "disabled"
    return "ready" if member["has_password"] else "has not opened their link"


def _server_runs(deployment: Deployment) -> bool:
    return deployment.folders.is_locked("gateway")


@contextmanager
def _open_store(deployment: Deployment) -> Generator["Database"]:
    """The gateway's store, migrated, while no server runs."""
    from app import MIGRATIONS
    from storage.database import Database
    from storage.migrate import upgrade

    with deployment.folders.prepare().lock("gateway"):
        upgrade(deployment.settings.database_url, MIGRATIONS)
        database = Database(deployment.settings.database_url)
        try:
            yield database
        finally:
            database.close()


def _add_here(deployment: Deployment, person: dict[str, str]) -> dict[str, Any]:
    from agent_inbox.auth import AuthError, NewAgent
    from commands.admin import add_member
    from commands.failures import CommandFailed
    from storage.ids import utc_now

    with _open_store(deployment) as database:
        try:
            new = NewAgent(**person)  # pyright: ignore[reportArgumentType]
            return asdict(database.write_now(lambda session: add_member(session, new, utc_now())))
        except AuthError as error:
            raise CommandFailed(str(error)) from None


def _list_here(deployment: Deployment) -> list[dict[str, Any]]:
    from commands.admin import members

    with _open_store(deployment) as database:
        return [asdict(member) for member in database.read_now(members)]
