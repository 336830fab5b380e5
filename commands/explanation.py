"""`tandem explain`: why the bot said what it said."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from commands.access import open_library
from commands.deployment import Deployment
from commands.failures import FAILED, CommandFailed
from commands.line import Server
from commands.screen import print_json, print_table, say
from rag.errors import SourceUnknown
from rag.types import Explanation, FoundChunk, ModelCall

HASH_CHARS = 12  # of a content hash, in words


def explain(file: Path | None, name: str, *, replay: bool, json: bool) -> None:
    """Print the record of an answer, named by its own id or that of the message."""
    deployment = Deployment.read(file)
    record_id = _record_of_message(deployment, name) or name
    try:
        told = asyncio.run(_explained(deployment, record_id, replay=replay))
    except SourceUnknown:
        raise CommandFailed("no message and no record has that id", FAILED) from None
    if json:
        print_json(told)
    else:
        _print(told)


async def _explained(deployment: Deployment, record_id: str, *, replay: bool) -> Explanation:
    if replay or deployment.is_running:
        async with open_library(deployment) as library:
            return await library.librarian.explain(record_id, replay=replay)
    return await _read_here(deployment, record_id)


async def _read_here(deployment: Deployment, record_id: str) -> Explanation:
    """From the store alone: no model has to be loaded to read a record."""
    from rag import store
    from rag.explain import explanation_of
    from storage.database import Database

    with deployment.folders.prepare().lock("librarian"):
        store.migrate(deployment.settings.rag_database_url)
        database = Database(deployment.settings.rag_database_url)
        try:
            record = await database.read(lambda session: store.load_record(session, record_id))
        finally:
            database.close()
    if record is None:
        raise SourceUnknown("no record has that id")
    return explanation_of(record)


def _record_of_message(deployment: Deployment, message_id: str) -> str:
    """The record behind a message; "" where the name is not a message's."""
    if not message_id.replace("-", "").isalnum():
        return ""
    if deployment.folders.is_locked("gateway"):
        server = Server(deployment.folders.admin_socket)
        return server.call("GET", f"/messages/{message_id}/record")["record_id"]
    from app import MIGRATIONS
    from commands.admin import record_of
    from storage.database import Database
    from storage.migrate import upgrade

    with deployment.folders.prepare().lock("gateway"):
        upgrade(deployment.settings.database_url, MIGRATIONS)
        database = Database(deployment.settings.database_url)
        try:
            return database.read_now(lambda session: record_of(session, message_id))
        finally:
            database.close()


def _print(told: Explanation) -> None:
    decision, writing = told.decision, told.writing
    say(f"Asked       {told.question.text}")
    if told.question.history:
        say(f"            after {len(told.question.history)} earlier lines of the talk")
    say(f"Decided     {decision.action}, because: {', '.join(decision.reasons)}")
    say(
        f"            p {decision.p:.3f}; answers from {decision.t_answer:.3f}, suggests from"
        f" {decision.t_suggest:.3f} (calibration {decision.calibration_id})"
    )
    for label, text in (("Restated", writing.restated), ("Translated", writing.translated)):
        if text:
            say(f"{label:<11} {text}")
    say(f"Written by  {writing.writer or 'nobody'}")
    if writing.faults:
        say(f"            the model's text was held back: {', '.join(writing.faults)}")
    if writing.text:
        say("            " + writing.text.replace("\n", "\n            "))
    say(f"Knowledge   version {told.knowledge_version}, {told.created_at:%Y-%m-%d %H:%M:%S %Z}")
    say("Time        " + ", ".join(f"{name} {ms:g} ms" for name, ms in told.timings_ms.items()))
    _print_tables(told)


def _print_tables(told: Explanation) -> None:
    if told.candidates:
        say("\nFound:")
        columns = ("passage", "source", "hash", "score", "words", "letters", "meaning")
        print_table(columns, [_row(one) for one in told.candidates])
    if told.writing.calls:
        say("\nThe model was asked:")
        columns = ("prompt", "model", "tokens in", "out", "first word", "whole", "failure")
        print_table(columns, [_call(one) for one in told.writing.calls])
    say("\nEvidence:")
    print_table(
        ("feature", "value"), [(name, f"{value:.3f}") for name, value in told.features.items()]
    )
    if told.replayed:
        say("\nToday:")
        say("\n".join(told.differences) or "the same would come out")


def _row(one: FoundChunk) -> Sequence[object]:
    vector = "-" if one.vector is None else f"{one.vector:.2f}"
    scores = (f"{one.score:.2f}", f"{one.keyword:.2f}", f"{one.grams:.2f}", vector)
    return (f"{one.title} › {one.heading}", one.source, one.content_hash[:HASH_CHARS], *scores)


def _call(one: ModelCall) -> Sequence[object]:
    times = (f"{one.first_token_ms:g} ms", f"{one.total_ms:g} ms")
    return (one.prompt, one.model, one.prompt_tokens, one.answer_tokens, *times, one.failure)
