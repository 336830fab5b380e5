"""`tandem serve` and `tandem librarian`: the long-running processes."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn

from agent_inbox.console import make_first_run_link
from app import Gateway, StartError, build, public_app
from commands.access import until_ready
from commands.admin import Status, admin_app
from commands.deployment import Deployment
from commands.failures import CommandFailed
from commands.sample import take_in_sample
from commands.screen import say
from config.logging import configure
from rag.errors import ModelUnavailable
from rag.supervise import RestartLimits, Supervised, die_with

log = structlog.get_logger()
CONNECTIONS_WAIT_S = 6  # for requests in flight; with FINISH_WAIT_S and the librarian below 25
LIBRARIAN_STOP_WAIT_S = 4.0
SETTLE_POLL_S = 0.5
FRAME_BYTES_MAX = 65_536  # of a socket: larger ones end it before anything is read


class _Server(uvicorn.Server):
    """One of several servers of this process: signals are ours to handle, for all of them."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def serve(file: Path | None, *, gateway_only: bool) -> None:
    """Run the gateway, and beside it the librarian, until SIGTERM or SIGINT."""
    deployment = Deployment.read(file)
    configure(deployment.settings.logging.level, deployment.settings.logging.format)
    with deployment.folders.prepare().lock("gateway"):
        gateway = build(deployment.settings)
        listener = _listen(deployment)
        factory = uvicorn.Config(public_app, log_config=None).get_loop_factory()
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_serve(deployment, gateway, listener, gateway_only=gateway_only))


def librarian(file: Path | None, *, parent: int) -> None:
    """Run the librarian on its socket until SIGTERM; with `parent` no longer than that process."""
    if parent:
        die_with(parent)
    from commands.library import open_own
    from rag.service import create_service

    deployment = Deployment.read(file)
    configure(deployment.settings.logging.level, deployment.settings.logging.format)
    with deployment.folders.prepare().lock("librarian"):
        limit = deployment.settings.rag.limits.upload_bytes_max
        app = create_service(lambda: open_own(deployment), upload_bytes_max=limit)
        path = _fresh(deployment.folders.librarian_socket)
        config = uvicorn.Config(
            app, uds=str(path), log_config=None, access_log=False, lifespan="on",
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        uvicorn.Server(config).run()


async def _serve(
    deployment: Deployment, gateway: Gateway, listener: socket.socket, *, gateway_only: bool
) -> None:
    url = _url(deployment, listener)
    public = _server(public_app(gateway))
    admin = _server(
        admin_app(gateway, Status(pid=os.getpid(), url=url, local_url=_local_url(listener))),
        uds=_fresh(deployment.folders.admin_socket),
    )
    _stop_on_signals(gateway.stopping, (public, admin))
    beside = [asyncio.create_task(_welcome(deployment, gateway, public, url))]
    if not gateway_only:
        beside.append(asyncio.create_task(_librarian(deployment).run()))
    for task in beside:
        task.add_done_callback(_say_why)
    try:
        await asyncio.gather(public.serve(sockets=[listener]), _follow(public, admin))
    finally:
        gateway.stopping.set()
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        deployment.folders.admin_socket.unlink(missing_ok=True)


async def _follow(public: _Server, admin: _Server) -> None:
    """Serve the admin socket once customers are served: who finds it finds a server that works."""
    await _started(public)
    if not public.should_exit:
        await admin.serve()


async def _started(server: _Server) -> None:
    while not (server.started or server.should_exit):  # noqa: ASYNC110 - nothing to wait for
        await asyncio.sleep(0.02)


def _say_why(task: asyncio.Task[None]) -> None:
    """Of a task that nobody waits for: an end that nobody foresaw must be seen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a part of the process ended", exc_info=error)


def _server(app: object, *, uds: Path | None = None) -> _Server:
    return _Server(
        uvicorn.Config(
            app,  # pyright: ignore[reportArgumentType]
            uds=str(uds) if uds else None, log_config=None, access_log=False, lifespan="on",
            proxy_headers=False, server_header=False,
            ws="websockets-sansio", ws_max_size=FRAME_BYTES_MAX, ws_per_message_deflate=False,
            timeout_graceful_shutdown=CONNECTIONS_WAIT_S,
        )
    )  # fmt: skip


def _librarian(deployment: Deployment) -> Supervised:
    """As a script, so that the same packages are found wherever they are installed."""
    options = ["--config", str(deployment.file.absolute())] if deployment.file else []
    script = str(Path(__file__).resolve().parents[1] / "cli.py")
    command = [sys.executable, script, *options, "librarian", "--parent", str(os.getpid())]
    return Supervised(command, limits=RestartLimits(stop_wait_s=LIBRARIAN_STOP_WAIT_S))


def _stop_on_signals(stopping: asyncio.Event, servers: tuple[_Server, ...]) -> None:
    """The first signal ends in order, the second one at once."""

    def stop() -> None:
        for server in servers:
            server.force_exit = stopping.is_set()
            server.should_exit = True
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


async def _welcome(deployment: Deployment, gateway: Gateway, public: _Server, url: str) -> None:
    """Say where to click once it can be clicked, then see to the first run's documents."""
    await _started(public)
    link = await make_first_run_link(gateway.store, gateway.clock, url)
    say("Tandem is ready.")
    say(f"  Web chat   {url}/")
    say(f"  Console    {url}/console")
    if link is not None:
        say(f"  First run: become the admin at {link} (works once, for a day)")
    say("The bot loads its models; meanwhile people are called for every question.")
    sys.stdout.flush()
    limits = deployment.settings.rag.limits
    while True:
        try:
            await until_ready(gateway.line.health, limits.ready_wait_s, tell=log.debug)
            break
        except CommandFailed as error:
            log.warning("librarian_not_ready", reason=str(error))
    if deployment.settings.rag.sample:
        await take_in_sample(deployment.folders, gateway.knowledge)
        await _settled(gateway)
    say("The bot is ready.")
    sys.stdout.flush()


async def _settled(gateway: Gateway) -> None:
    """Until the documents handed in are live and calibrated for: before, the bot knows too little
    to be called ready."""
    while True:
        try:
            if (await gateway.line.health()).settled:
                return
        except ModelUnavailable as error:
            log.info("librarian_not_settled", reason=str(error))
        await asyncio.sleep(SETTLE_POLL_S)


def _listen(deployment: Deployment) -> socket.socket:
    """The public socket, bound before anything starts. Raises StartError."""
    host, port = deployment.settings.server.host, deployment.settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise StartError(
            f"cannot listen on {host} port {port}: {reason}; set another one with"
            " TANDEM_SERVER__PORT or server.port"
        ) from None
    listener.set_inheritable(False)
    return listener


def _url(deployment: Deployment, listener: socket.socket) -> str:
    """Where people reach the server: the address set, else the one it listens on."""
    server = deployment.settings.server
    if server.public_url:
        return server.public_url
    return _local_url(listener)


def _local_url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - every address, so the loopback one too
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _fresh(path: Path) -> Path:
    """A socket's path, without what a killed process left there. The lock says it is ours."""
    path.unlink(missing_ok=True)
    return path
