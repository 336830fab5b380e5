"""Documents cross the librarian's socket as they are."""

import pytest

from rag.client import RemoteKnowledge
from rag.errors import (
    NoEarlierVersion,
    SourceUnreadable,
)
from rag.types import (
    Page,
    Upload,
    Words,
)
from tests.rag.librarians import STATUS, SUMMARY, Parts


async def test_a_document_crosses_the_socket_as_it_is(serve) -> None:
    """Bytes, names with spaces and Chinese, and what is known about the document arrive."""
    parts = Parts()
    upload = Upload(name="手册 1.md", content=b"# \x00\xff", title="T & t", language="zh")
    async with serve(parts) as line:
        status = await RemoteKnowledge(line).add(upload)

    assert status == STATUS
    assert parts.asked == [upload]


async def test_the_knowledge_base_can_be_read_and_changed(serve) -> None:
    """List, show, progress, retire and check work as in process."""
    parts = Parts()
    async with serve(parts) as line:
        knowledge = RemoteKnowledge(line)
        listed = await knowledge.sources(), await knowledge.sources(after="s1")
        detail = await knowledge.show("s1")
        progress = await knowledge.progress("r1")
        await knowledge.retire("s1")
        report = await knowledge.check(rebuild=True)

    assert listed == ([SUMMARY], [])
    assert detail.summary == SUMMARY
    assert progress == STATUS
    assert parts.asked == ["s1"]
    assert report.rebuilt


async def test_versions_audiences_and_pages_cross_the_socket(serve) -> None:
    """Going back, who may read it, and what stands at an address; refusals by their name."""
    parts, page = Parts(), Page(url="https://a.test/帮助?q=1&r", audience="staff", language="zh")
    async with serve(parts) as line:
        knowledge = RemoteKnowledge(line)
        back = await knowledge.roll_back("s1"), await knowledge.roll_back("s1", "r1")
        await knowledge.set_audience("s1", "staff")
        pages = await knowledge.pages("https://a.test/?a=1&b=2")
        added = await knowledge.add_page(page)
        with pytest.raises(NoEarlierVersion):
            await knowledge.roll_back("s1", "r0")

    assert back == (STATUS, STATUS)
    assert added == STATUS
    assert pages == ["https://a.test/?a=1&b=2", "https://a.test/?a=1&b=2/2"]
    assert parts.asked == [("s1", None), ("s1", "r1"), ("s1", "staff"), page]


async def test_a_refusal_arrives_in_both_languages(serve) -> None:
    """Whoever uploaded it reads the reason in the language of their screen."""
    async with serve(Parts(fails=SourceUnreadable("too odd", "太奇怪"))) as line:
        with pytest.raises(SourceUnreadable) as caught:
            await RemoteKnowledge(line).add(Upload(name="a.md", content=b"x"))

    assert caught.value.reason == Words("too odd", "太奇怪")
