"""A talk in three lines by a model: only what its own lines bear out."""

import pytest

from rag.types import NumberedLine, Point, Summary
from storage.database import Database
from tests.fakes.llm import Reply
from tests.rag.test_writer import asked_model, saying

LINES = (
    NumberedLine(1, "customer", "My order 4711 has not arrived."),
    NumberedLine(2, "bot", "Orders arrive within 5 days [1]."),
    NumberedLine(3, "customer", "It has been 9 days, I want my money back."),
)
SUMMARY = """WANTS: the money back for order 4711 (#1 #3)
TRIED: the bot said that orders arrive within 5 days (#2)
FACTS: order 4711 has not arrived for 9 days (#1, #3)"""


async def test_a_talk_is_summed_up_in_three_lines_that_can_be_looked_up(
    database: Database,
) -> None:
    """Each names the lines that it rests on."""
    async with asked_model(database, saying(Reply(SUMMARY))) as base:
        summary = await base.librarian.summarise(LINES, "en")

    assert summary == Summary(
        wants=Point("the money back for order 4711", (1, 3)),
        tried=Point("the bot said that orders arrive within 5 days", (2,)),
        facts=Point("order 4711 has not arrived for 9 days", (1, 3)),
    )


@pytest.mark.parametrize(
    "line",
    [
        "WANTS: the money back for order 4712 (#1 #3)",
        "WANTS: the money back (#9)",
        "WANTS: the money back",
        "WANTS: -",
        "WANTS: see https://evil.example (#1)",
        "WANTS: to insult Contoso and burn things (#1)",
        "WANTS: 想要退款 (#3)",
        "Sure! Here is the summary.",
    ],
)
async def test_a_summary_that_the_lines_do_not_bear_out_is_left_out(
    database: Database, line: str
) -> None:
    """An invented order, a line that is not there, none at all: the rules' brief stays alone."""
    async with asked_model(database, saying(Reply(line))) as base:
        summary = await base.librarian.summarise(LINES, "en")

    assert summary == Summary()
