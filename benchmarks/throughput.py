"""Throughput beside a floor measured in the same run: `python -m benchmarks.throughput`.

Product and floor run as separate servers with the same durability and are loaded in turn by a
client process; the floor comes once more at the end. Only ratios mean anything: the page
docs/performance.md says what is measured, and why against this.
"""

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.client import Job, Result
from benchmarks.measure import Measure, report
from benchmarks.product import LIFTED
from benchmarks.servers import Server, gateway, measured

Side = Literal["product", "floor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is done: requests and turns in a round, conversations that warm a gateway up."""

    rounds: int
    hooks: int = 8_000
    turns: int = 800
    warm_up: int = 200


QUICK = Plan(rounds=1, hooks=64, turns=10, warm_up=5)


@dataclass(frozen=True, slots=True)
class Rounds:
    """Results of product and floor in turn, and of the floor once more at the end."""

    product: list[Result]
    floor: list[Result]
    again: Result

    def measure(
        self, row: str, unit: str, figure: Callable[[Result], float], *,
        aim: float, stop: float, more: bool,
    ) -> Measure:  # fmt: skip
        return Measure(
            row=row, unit=unit, product=tuple(map(figure, self.product)),
            floor=tuple(map(figure, self.floor)), again=figure(self.again),
            aim=aim, stop=stop, more=more,
        )  # fmt: skip


def interleaved(servers: dict[Side, Server], job: Job, rounds: int) -> Rounds:
    """Load both sides in turn, after a warm-up of each that nobody counts."""

    def load(side: Side, name: str, count: int) -> Result:
        return servers[side].load(
            Job(load=job.load, port=servers[side].port, clients=job.clients, count=count, name=name)
        )

    for side in servers:
        load(side, "warm-up", max(job.count // 8, job.clients))
    product: list[Result] = []
    floor: list[Result] = []
    for n in range(rounds):
        product.append(load("product", f"round-{n}", job.count))
        floor.append(load("floor", f"round-{n}", job.count))
    return Rounds(product, floor, load("floor", "again", job.count))


def both(stack: ExitStack, kind: Literal["hook", "chat"], top: Path) -> dict[Side, Server]:
    """The two servers of a row, each with a folder of its own."""
    started: dict[Side, Server] = {}
    for side in ("product", "floor"):
        folder = top / f"{side}-{kind}"
        folder.mkdir()
        started[side] = stack.enter_context(measured(f"{side}.{kind}", folder))
    return started


def ingress(plan: Plan, top: Path) -> list[Measure]:
    """Rows 1 and 2: a signed webhook, verified and committed before its answer; 64 clients."""
    with ExitStack() as stack:
        job = Job(load="hooks", port=0, clients=64, count=plan.hooks, name="")
        done = interleaved(both(stack, "hook", top), job, plan.rounds)
    return [
        done.measure("1 ingress, 64 clients", "req/s", lambda one: one.done / one.seconds,
                     aim=0.8, stop=0.5, more=True),
        done.measure("2 the same, CPU", "ms/req", lambda one: 1_000 * one.cpu_s / one.done,
                     aim=1.3, stop=2.0, more=False),
    ]  # fmt: skip


def turns(plan: Plan, top: Path) -> list[Measure]:
    """Row 4: from a customer's message to the reply that this customer has read; 8 clients."""
    with ExitStack() as stack:
        job = Job(load="turns", port=0, clients=8, count=plan.turns, name="")
        done = interleaved(both(stack, "chat", top), job, plan.rounds)
    return [
        done.measure("4 full turn, 8 clients", "turns/s", lambda one: one.done / one.seconds,
                     aim=0.3, stop=0.12, more=True)
    ]  # fmt: skip


def start(plan: Plan, top: Path) -> list[Measure]:
    """Row 18: from the start of the process to its first good answer, and its memory after some
    conversations. The first round of the product makes its store."""
    figures: dict[Side, list[tuple[float, float]]] = {"product": [], "floor": []}
    in_turn: tuple[Side, ...] = ("product", "floor")
    for side in (*(in_turn * plan.rounds), in_turn[1]):
        folder = top / f"{side}-start"
        folder.mkdir(exist_ok=True)
        server = gateway(folder, LIFTED) if side == "product" else measured("floor.chat", folder)
        with server as running:
            running.talk(plan.warm_up)
            figures[side].append((running.ready_s, running.rss_mb()))
    product, floor = figures["product"], figures["floor"]
    return [
        Measure(
            row=row, unit=unit, product=tuple(one[n] for one in product),
            floor=tuple(one[n] for one in floor[:-1]), again=floor[-1][n],
            aim=aim, stop=stop, more=False,
        )
        for n, (row, unit, aim, stop) in enumerate((
            ("18 gateway ready", "s", 3.0, 7.0), ("18 its memory", "MB", 2.0, 4.0)
        ))
    ]  # fmt: skip


def as_data(plan: Plan, measures: Sequence[Measure]) -> dict[str, object]:
    return {
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(), "cpus": os.cpu_count(), "rounds": plan.rounds,
        "measures": [one.as_data() for one in measures],
    }  # fmt: skip


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of product and floor in turn")
    parser.add_argument("--quick", action="store_true", help="almost no load: tries the plumbing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args(arguments)
    plan = QUICK if options.quick else Plan(rounds=options.rounds)
    with tempfile.TemporaryDirectory(prefix="tandem-bench-") as top:
        measures = [one for row in (ingress, turns, start) for one in row(plan, Path(top))]
    print(report(measures))
    if options.json:
        options.json.write_text(json.dumps(as_data(plan, measures), indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])
