"""`tandem doctor`: the settings in force with their origin, and a live check of each part."""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import channels as ways
from commands.access import open_line
from commands.deployment import Deployment
from commands.failures import DONE, FAILED, CommandFailed
from commands.line import Server
from commands.screen import print_json, print_table, say
from config.folders import FolderError
from gateway.errors import ChannelError
from rag.errors import RagError
from rag.types import CheckReport, LibrarianHealth

State = Literal["ok", "warning", "wrong"]
_ROOT = Path(__file__).resolve().parents[1]
_CLOCK_SKEW_S_MAX = 5.0
_PROBE_WAIT_S = 10.0  # of one channel's provider


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, in words for an operator."""

    part: str
    state: State
    text: str


def examine(file: Path | None, *, json: bool) -> int:
    """Print settings and findings; the exit code. Raises SettingsError."""
    from app import check

    deployment = Deployment.read(file)
    check(deployment.settings)
    findings = [finding for part in _CHECKS for finding in part(deployment)]
    settings = deployment.settings.describe()
    if json:
        print_json({"settings": settings, "checks": findings})
    else:
        print_table(("setting", "value", "set by"), [(s.key, s.value, s.origin) for s in settings])
        say()
        print_table(("check", "state", ""), [(f.part, f.state, f.text) for f in findings])
    return FAILED if any(finding.state == "wrong" for finding in findings) else DONE


def _data_folder(deployment: Deployment) -> list[Finding]:
    part = "data folder"
    try:
        deployment.folders.prepare()
    except FolderError as error:
        return [Finding(part, "wrong", str(error))]
    return [Finding(part, "ok", f"{deployment.folders.data_dir} can be written")]


def _stores(deployment: Deployment) -> list[Finding]:
    import app
    from rag import store

    settings = deployment.settings
    return [
        _store("conversations", settings.database_url, app.MIGRATIONS),
        _store("documents", settings.rag_database_url, store.MIGRATIONS),
    ]


def _store(part: str, url: str, versions: Path) -> Finding:
    from sqlalchemy.exc import SQLAlchemyError

    from storage.migrate import pending

    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return Finding(part, "ok", "the store is made at the first start")
    try:
        missing = pending(url, versions)
    except SQLAlchemyError as error:
        return Finding(part, "wrong", f"the store cannot be opened: {type(error).__name__}")
    if missing:
        return Finding(part, "warning", f"{len(missing)} migrations follow at the next start")
    return Finding(part, "ok", "the store can be read and is up to date")


def _server(deployment: Deployment) -> list[Finding]:
    part = "server"
    if not deployment.folders.is_locked("gateway"):
        return [_port(deployment)]
    try:
        status = Server(deployment.folders.admin_socket).call("GET", "/status")
        ready: Any = Server(status["local_url"]).call("GET", "/health/ready")
    except CommandFailed as error:
        return [Finding(part, "wrong", str(error))]
    whole: State = "ok" if ready["status"] != "down" else "wrong"
    text = f"process {status['pid']} at {status['url']} is {ready['status']}"
    return [Finding(part, whole, text), *(_part(name, ready) for name in ready["parts"])]


def _part(name: str, ready: Mapping[str, Any]) -> Finding:
    said = ready["parts"][name]
    return Finding(f"server: {name}", "ok" if said == "ok" else "wrong", said)


def _channels(deployment: Deployment) -> list[Finding]:
    """Ask each provider once, where the channel can; a running server says it itself."""
    if deployment.folders.is_locked("gateway"):
        return []
    checked = ways.check_sections(deployment.settings.channels)
    return [
        _channel(name, module.probe(settings))
        for name, (module, settings) in checked.items()
        if isinstance(module, ways.Probes)
    ]


def _channel(name: str, asking: Coroutine[Any, Any, str]) -> Finding:
    async def ask() -> str:
        async with asyncio.timeout(_PROBE_WAIT_S):
            return await asking

    try:
        said = asyncio.run(ask())
    except TimeoutError:
        said = f"no answer in {_PROBE_WAIT_S:g} s"
    except ChannelError as error:
        said = str(error)
    return Finding(f"channel {name}", "ok" if said.startswith("ok") else "wrong", said)


def _port(deployment: Deployment) -> Finding:
    host, port = deployment.settings.server.host, deployment.settings.server.port
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            return Finding("server", "wrong", f"cannot listen on {host}:{port}: {error.strerror}")
    return Finding("server", "ok", f"not running; {host}:{port} is free")


def _librarian(deployment: Deployment) -> list[Finding]:
    if not deployment.is_running:
        return [Finding("librarian", "ok", "not running"), _weights(deployment)]
    try:
        health, report = asyncio.run(_ask_librarian(deployment))
    except RagError as error:
        return [Finding("librarian", "wrong", str(error))]
    index = f"{report.chunks} passages, {report.probed} probed, {report.wrong} wrong"
    return [
        Finding("librarian", "ok" if health.ready else "wrong", f"{health.queued} jobs wait"),
        _embedder(health),
        _model(health.model),
        Finding("index", "ok" if report.healthy else "wrong", f"{index}. {report.detail}".strip()),
    ]


def _model(state: str) -> Finding:
    """A model in trouble is no failure: answers are quoted meanwhile."""
    if state == "none":
        return Finding("language model", "ok", "none is set: answers are quoted")
    return Finding("language model", "ok" if state == "ok" else "warning", state)


def _embedder(health: LibrarianHealth) -> Finding:
    if health.reembedding:
        return Finding("embedder", "warning", f"being replaced: {health.reembedding}")
    return Finding("embedder", "ok" if health.embedder == "ok" else "wrong", health.embedder)


async def _ask_librarian(deployment: Deployment) -> tuple[LibrarianHealth, CheckReport]:
    from rag.client import RemoteKnowledge

    line = open_line(deployment.settings)
    try:
        return await line.health(), await RemoteKnowledge(line).check()
    finally:
        await line.close()


def _weights(deployment: Deployment) -> Finding:
    from commands.embedder import embedder_settings
    from rag.embed import weights_digest

    embedder = deployment.settings.rag.embedder
    if embedder.kind == "hash":
        return Finding("embedder", "warning", "shared words only: a twin for tests")
    try:
        digest = weights_digest(embedder_settings(embedder))
    except RagError as error:
        return Finding("embedder", "wrong", str(error))
    return Finding("embedder", "ok", f"the weights are the expected ones ({digest[:12]})")


def _clock(deployment: Deployment) -> list[Finding]:
    part = "clock"
    if time.time() < (_ROOT / "app.py").stat().st_mtime:
        return [Finding(part, "wrong", "this machine's clock is before Tandem was installed")]
    if deployment.settings.database_url.startswith("sqlite"):
        return [Finding(part, "ok", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()))]
    return [_database_clock(deployment)]


def _database_clock(deployment: Deployment) -> Finding:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(deployment.settings.database_url)
    try:
        with engine.connect() as connection:
            there = connection.execute(text("select extract(epoch from now())")).scalar_one()
    except SQLAlchemyError as error:
        return Finding("clock", "wrong", f"the database was not asked: {type(error).__name__}")
    finally:
        engine.dispose()
    apart_s = abs(time.time() - float(there))
    state: State = "ok" if apart_s <= _CLOCK_SKEW_S_MAX else "wrong"
    return Finding("clock", state, f"{apart_s:.1f} s apart from the database's")


def _transport(deployment: Deployment) -> list[Finding]:
    server = deployment.settings.server
    if server.public_url.startswith("https://"):
        return [Finding("transport", "ok", "people come over https")]
    text = "plain http: sign-in cookies are not Secure; put https in front, set server.public_url"
    return [Finding("transport", "warning", text)]


_CHECKS: tuple[Callable[[Deployment], list[Finding]], ...] = (
    _data_folder,
    _stores,
    _server,
    _channels,
    _librarian,
    _clock,
    _transport,
)
