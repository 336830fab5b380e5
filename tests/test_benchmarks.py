"""The benchmarks measure what they say: durable on both sides, nothing lost, judged honestly."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.client import Job
from benchmarks.measure import Measure, report
from benchmarks.servers import Server, Void, measured
from benchmarks.throughput import main


def measure(*, floor: tuple[float, ...], again: float, **more: Any) -> Measure:
    values: dict[str, Any] = {"product": (80.0, 90.0, 85.0), "aim": 0.8, "stop": 0.5, "more": True}
    return Measure(row="a row", unit="req/s", floor=floor, again=again, **(values | more))


@pytest.mark.process
@pytest.mark.timeout(300)  # seven servers start one after the other
def test_a_quick_run_gives_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Each row has product, floor and floor again; a run that lost something would have raised."""
    file = tmp_path / "figures.json"
    main(["--quick", "--json", str(file)])
    measures: list[dict[str, Any]] = json.loads(file.read_text())["measures"]
    table = capsys.readouterr().out

    assert [one["row"].split()[0] for one in measures] == ["1", "2", "4", "18", "18"]
    assert all(figure > 0 for one in measures for figure in (*one["product"], *one["floor"]))
    assert all(one["floor_again"] > 0 and one["ratio"]["median"] > 0 for one in measures)
    assert all(one["row"] in table for one in measures)


@pytest.mark.process
@pytest.mark.parametrize("side", ["product", "floor"])
def test_both_sides_commit_before_they_answer(tmp_path: Path, side: str):
    """The writing connection says FULL, and every acknowledged event is a row."""
    with measured(f"{side}.hook", tmp_path) as server:
        result = server.load(Job(load="hooks", port=server.port, clients=4, count=40, name="one"))

    assert (result.synchronous, result.journal) == (2, "wal")
    assert (result.done, result.lost) == (40, 0)


@pytest.mark.process
def test_a_loss_makes_a_run_void(tmp_path: Path):
    """The same events again are acknowledged but add no row: the count does not add up, and says
    so instead of giving a figure."""
    with measured("floor.hook", tmp_path) as server:
        _send(server)

        with pytest.raises(Void, match="40 of 40"):
            _send(server)


def _send(server: Server) -> None:
    server.load(Job(load="hooks", port=server.port, clients=4, count=40, name="the same"))


def test_a_measure_is_judged_by_the_median_of_its_rounds():
    """80 %, 90 % and 85 % of the floor: the aim of 80 % is reached, one of 90 % is not."""
    assert measure(floor=(100, 100, 100), again=100).verdict == "aim"
    assert measure(floor=(100, 100, 100), again=100, aim=0.9).verdict == "passed"
    assert measure(floor=(100, 100, 100), again=100, aim=0.95, stop=0.9).verdict == "stop"


def test_a_measure_that_should_be_small_is_judged_the_other_way():
    """1.7 times the cost of the floor is too much for an aim of 1.3."""
    cost = measure(floor=(50, 50, 50), again=50, more=False, aim=1.3, stop=2.0)

    assert cost.verdict == "passed"
    assert measure(floor=(80, 80, 80), again=80, more=False, aim=1.3, stop=2.0).verdict == "aim"


def test_a_floor_that_moves_is_not_judged_against():
    """More than a quarter up or down at the end: whatever the ratio, it is called unsteady."""
    unsteady = [measure(floor=(100, 100, 100), again=again) for again in (126, 74)]
    steady = [measure(floor=(100, 100, 100), again=again) for again in (125, 75)]

    assert {one.verdict for one in unsteady} == {"unsteady"}
    assert {one.verdict for one in steady} == {"aim"}
    assert "unsteady" in report(unsteady)
