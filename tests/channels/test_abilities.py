"""The page about channels says what the channels themselves say."""

import re
from pathlib import Path

from tests.channels.abilities import built, table

PAGE = Path(__file__).parents[2] / "docs" / "channels.md"
_TABLE = re.compile(r"<!-- abilities -->\n(.*?)\n<!-- end -->", re.DOTALL)


def test_the_table_of_abilities_is_the_printed_one(tmp_path: Path):
    """`python -m tests.channels.abilities` prints what the page has to hold."""
    [written] = _TABLE.findall(PAGE.read_text("utf-8"))

    assert written == table(built(tmp_path))


def test_every_channel_is_named_on_the_page(tmp_path: Path):
    """Whoever adds a channel finds it here."""
    text = PAGE.read_text("utf-8")

    assert [name for name in built(tmp_path) if name != "memory" and name not in text] == []
