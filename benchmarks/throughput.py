"""Throughput beside a floor measured in the same run: `python -m benchmarks.throughput`.

Product and floor run as separate servers with the same durability, are loaded in turn for some
rounds, and the floor once more at the end: if it differs from itself by more than `STEADY_MAX`,
the machine is too busy and the figures are called unsteady instead of being judged. Only ratios
mean anything; see docs/performance.md.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from benchmarks.client import Job, Result

STEADY_MAX = 0.25
START_WAIT_S = 60.0
FREE_PORT = 18_400  # and the following ones


@dataclass(frozen=True, slots=True)
class Row:
    """A row group of the performance page: a kind of load, and how much of it."""

    app: str
    load: str
    clients: int
    count: int


INGRESS = Row("hook", "hooks", 64, 8_000)
TURNS = Row("chat", "turns", 8, 800)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One measure: product beside floor, as `ratio` (median by median)."""

    row: str
    unit: str
    product: tuple[float, float, float]  # min, median, max
    floor: tuple[float, float, float]
    ratio: float
    aim: str
    steady: bool


@dataclass(frozen=True, slots=True)
class Server:
    """A server under measurement. `ready_s`: from its start to its first answer."""

    process: "subprocess.Popen[bytes]"
    port: int
    ready_s: float

    def rss_mb(self) -> float:
        """Resident memory of the process now."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise LookupError("the kernel does not tell VmRSS")


@contextmanager
def serving(app: str, folder: Path, port: int) -> Iterator[Server]:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "benchmarks.serve", app, str(folder), str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(port)
        yield Server(process, port, time.perf_counter() - began)
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_it_answers(port: int) -> None:
    give_up = time.monotonic() + START_WAIT_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/figures", timeout=5).close()
            return
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def loaded(server: Server, row: Row, name: str) -> Result:
    """One round of a row's load. Raises ValueError if anything acknowledged was lost."""
    job = Job(load=row.load, port=server.port, clients=row.clients, count=row.count, name=name)  # pyright: ignore[reportArgumentType]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.client"],
        input=msgspec.json.encode(job), capture_output=True, check=True, timeout=300,
    )  # fmt: skip
    result = msgspec.json.decode(done.stdout, type=Result)
    if result.lost:
        raise ValueError(f"{row.load}: {result.lost} lost on port {server.port}")
    if (result.synchronous, result.journal) != (2, "wal"):
        raise ValueError(f"port {server.port} commits with synchronous={result.synchronous}")
    return result


@dataclass(frozen=True, slots=True)
class Rounds:
    """The results of one row: product and floor in turn, the floor once more at the end."""

    row: Row
    product: list[Result]
    floor: list[Result]

    def rate(self, results: Sequence[Result]) -> list[float]:
        return [self.row.count / one.seconds for one in results]

    def cpu_ms(self, results: Sequence[Result]) -> list[float]:
        return [1_000 * one.cpu_s / self.row.count for one in results]

    @property
    def steady(self) -> bool:
        """Whether the floor at the end is the floor of before."""
        rates = self.rate(self.floor)
        return abs(rates[-1] / statistics.median(rates[:-1]) - 1) <= STEADY_MAX


def interleaved(row: Row, product: Server, floor: Server, rounds: int) -> Rounds:
    done = Rounds(row, [], [])
    for server in (floor, product):  # warm: pools, caches, compiled statements
        loaded(server, Row(row.app, row.load, row.clients, max(row.count // 8, 8)), "warm")
    for n in range(rounds):
        done.floor.append(loaded(floor, row, f"floor{n}"))
        done.product.append(loaded(product, row, f"product{n}"))
    done.floor.append(loaded(floor, row, "again"))
    return done


def judged(
    row: str, unit: str, values: tuple[Sequence[float], Sequence[float]], aim: str, steady: bool
) -> Judged:
    product, floor = ((min(some), statistics.median(some), max(some)) for some in values)
    return Judged(
        row=row, unit=unit, product=product, floor=floor, ratio=product[1] / floor[1], aim=aim,
        steady=steady,
    )  # fmt: skip


def measure(rounds: int, scale: float) -> list[Judged]:
    """Rows 1, 2, 4 and 18. `scale` shrinks the load, for trying the plumbing."""
    with tempfile.TemporaryDirectory() as top, ExitStack() as stack:
        servers = {
            name: stack.enter_context(serving(name, Path(top) / name, FREE_PORT + n))
            for n, name in enumerate(("floor.hook", "product.hook", "floor.chat", "product.chat"))
        }
        ingress = _row(INGRESS, servers, rounds, scale)
        turns = _row(TURNS, servers, rounds, scale)
        product, floor = servers["product.chat"], servers["floor.chat"]
        memory = ([product.rss_mb()], [floor.rss_mb()])
        ready = ([product.ready_s], [floor.ready_s])
    rates = (ingress.rate(ingress.product), ingress.rate(ingress.floor))
    cpu = (ingress.cpu_ms(ingress.product), ingress.cpu_ms(ingress.floor))
    full = (turns.rate(turns.product), turns.rate(turns.floor))
    return [
        judged("1 ingress, 64 clients", "req/s", rates, "≥ 0.8, stop 0.5", ingress.steady),
        judged("2 the same, CPU", "ms/req", cpu, "≤ 1.3, stop 2", ingress.steady),
        judged("4 full turn, 8 clients", "turns/s", full, "≥ 0.3, stop 0.12", turns.steady),
        judged("18 gateway ready", "s", ready, "≤ 3, stop 10 s", True),
        judged("18 gateway RSS", "MB", memory, "≤ 2, stop 400 MB", True),
    ]


def _row(row: Row, servers: dict[str, Server], rounds: int, scale: float) -> Rounds:
    smaller = Row(row.app, row.load, row.clients, max(int(row.count * scale), row.clients))
    return interleaved(smaller, servers[f"product.{row.app}"], servers[f"floor.{row.app}"], rounds)


def table(rows: Sequence[Judged]) -> str:
    lines = [f"{'row':26}{'product min/median/max':>32}{'floor min/median/max':>32}  ratio"]
    for one in rows:
        sides = ["/".join(f"{value:.4g}" for value in side) for side in (one.product, one.floor)]
        verdict = f"{one.ratio:.2f}" if one.steady else "unsteady"
        lines.append(
            f"{one.row:26}{sides[0]:>32}{sides[1]:>32}  {verdict} {one.unit} (aim {one.aim})"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of product and floor in turn")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the load")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    rows = measure(options.rounds, 0.02 if options.quick else 1.0)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in rows], indent=1))


if __name__ == "__main__":
    main()
