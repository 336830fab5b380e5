"""`tandem`: the command line. Words and options only; the work is in `commands/`.

Nothing heavy is imported before a command is chosen, so that `tandem --help` answers at once.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

_HELP = """Tandem: a customer-messaging gateway in which a bot and people answer together.

Exit codes: 0 done · 1 failed, the reason is printed · 2 the command or a setting is wrong ·
3 not ready: a part that is needed does not answer (yet)."""

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings file; else TANDEM_CONFIG names it, else tandem.toml if it is there.",
    ),
]
Language = Literal["en", "zh"]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; it is the last line of stdout.")]
Name = Annotated[str, typer.Argument(help="Name or id, as `tandem kb list` prints them.")]


def main() -> None:
    """The entry point of the script `tandem`."""
    from commands.failures import exit_code

    try:
        build()(prog_name="tandem")
    except Exception as error:
        sys.exit(exit_code(error))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"tandem {version('tandem-gateway')}")
        except PackageNotFoundError:
            typer.echo("tandem (not installed as a package)")
        raise typer.Exit


def build() -> typer.Typer:
    """The commands with their options."""
    tandem = typer.Typer(
        help=_HELP, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )

    @tandem.callback()
    def common(
        context: typer.Context,
        config: Config = None,
        version: Annotated[
            bool,
            typer.Option("--version", help="Print the version.", is_eager=True, callback=_version),
        ] = False,
    ) -> None:
        context.obj = config

    _add_processes(tandem)
    _add_questions(tandem)
    tandem.add_typer(_knowledge(), name="kb", help="The knowledge base: documents in and out.")
    tandem.add_typer(_agents(), name="agents", help="The people who answer.")

    @tandem.command()
    def doctor(context: typer.Context, json: Json = False) -> None:
        """Print the settings in force with their origin, and check each part live.

        Exit code 1 if any check is red."""
        from commands.doctor import examine

        raise typer.Exit(examine(context.obj, json=json))

    return tandem


def _add_processes(tandem: typer.Typer) -> None:
    @tandem.command()
    def serve(
        context: typer.Context,
        gateway_only: Annotated[
            bool, typer.Option("--gateway-only", help="Without the librarian process.")
        ] = False,
    ) -> None:
        """Start the server: web chat, console, bot, and the librarian as its child.

        SIGTERM or Ctrl and C: what is in flight is finished, then it ends, within 25 seconds."""
        from commands.processes import serve as run

        run(context.obj, gateway_only=gateway_only)

    @tandem.command()
    def librarian(
        context: typer.Context,
        parent: Annotated[int, typer.Option(hidden=True, help="Die with this process.")] = 0,
    ) -> None:
        """Start the librarian process alone: search, answers and documents, on a unix socket."""
        from commands.processes import librarian as run

        run(context.obj, parent=parent)


def _add_questions(tandem: typer.Typer) -> None:
    @tandem.command()
    def ask(
        context: typer.Context,
        text: Annotated[str, typer.Argument(help="The question, in quotes.")],
        json: Json = False,
    ) -> None:
        """Ask the documents one question.

        Exit code 0 whether it is answered or declined: see `action` in the JSON."""
        from commands.questions import ask as run

        run(context.obj, text, json=json)

    @tandem.command()
    def explain(
        context: typer.Context,
        name: Annotated[str, typer.Argument(help="The id of a message of the bot, or a record's.")],
        replay: Annotated[
            bool, typer.Option("--replay", help="Ask again with today's documents and compare.")
        ] = False,
        json: Json = False,
    ) -> None:
        """Say why the bot said that: evidence, decision, passages, model, time."""
        from commands.explanation import explain as run

        run(context.obj, name, replay=replay, json=json)

    @tandem.command()
    def chat(context: typer.Context) -> None:
        """Talk to the bot in the terminal, as on the web chat. An empty line ends it."""
        from commands.questions import chat as run

        run(context.obj)


def _knowledge() -> typer.Typer:
    kb = typer.Typer(no_args_is_help=True)

    @kb.command()
    def add(
        context: typer.Context,
        places: Annotated[
            list[str], typer.Argument(help="Files, folders of them, or addresses of pages.")
        ],
        audience: Annotated[
            str | None,
            typer.Option(help="Who may be answered from them; else as before, or public."),
        ] = None,
        language: Annotated[
            Language | None, typer.Option(help="Their language; else told from the text.")
        ] = None,
    ) -> None:
        """Take documents in: PDF, Word, Excel, CSV, HTML, Markdown, text, a web page, a sitemap.

        The same again embeds nothing. Exit code 1 if any of them could not be taken in."""
        from commands.knowledge import Labels
        from commands.knowledge import add as run

        raise typer.Exit(run(context.obj, places, Labels(audience, language)))

    @kb.command("list")
    def list_(context: typer.Context, json: Json = False) -> None:
        """List the documents."""
        from commands.knowledge import list_sources

        list_sources(context.obj, json=json)

    @kb.command()
    def show(context: typer.Context, name: Name, json: Json = False) -> None:
        """Show a document with its versions and passages."""
        from commands.knowledge import show as run

        run(context.obj, name, json=json)

    @kb.command()
    def remove(context: typer.Context, name: Name) -> None:
        """Withdraw a document: from then on nothing of it is answered."""
        from commands.knowledge import remove as run

        run(context.obj, name)

    _add_versions(kb)
    _add_checks(kb)
    return kb


def _add_versions(kb: typer.Typer) -> None:
    @kb.command()
    def rollback(
        context: typer.Context,
        name: Name,
        revision: Annotated[
            str | None, typer.Argument(help="A version's id, as `tandem kb show` prints it.")
        ] = None,
    ) -> None:
        """Answer from an earlier version of a document again; else from the one before."""
        from commands.knowledge import roll_back as run

        run(context.obj, name, revision)

    @kb.command()
    def audience(
        context: typer.Context,
        name: Name,
        audience: Annotated[str, typer.Argument(help="public, customers, staff, or your own.")],
    ) -> None:
        """Say who may be answered from a document, in all of its versions."""
        from commands.knowledge import set_audience as run

        run(context.obj, name, audience)


def _add_checks(kb: typer.Typer) -> None:
    @kb.command()
    def check(
        context: typer.Context,
        rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index anew.")] = False,
        json: Json = False,
    ) -> None:
        """Compare the search index with the database. Exit code 1 if it is not healthy."""
        from commands.knowledge import check as run

        raise typer.Exit(run(context.obj, rebuild=rebuild, json=json))

    @kb.command("eval")
    def eval_(
        context: typer.Context,
        folder: Annotated[Path, typer.Argument(help="Holds kb.jsonl and queries.jsonl.")],
        json: Json = False,
    ) -> None:
        """Measure answers on a data set, in a knowledge base of its own."""
        from commands.evaluation import evaluate

        evaluate(context.obj, folder, json=json)


def _agents() -> typer.Typer:
    agents = typer.Typer(no_args_is_help=True)

    @agents.command()
    def add(
        context: typer.Context,
        email: Annotated[str, typer.Argument(help="They sign in with it.")],
        name: Annotated[str, typer.Option(help="The name that customers see.")] = "",
        admin: Annotated[bool, typer.Option("--admin", help="May change documents.")] = False,
    ) -> None:
        """Add a person; prints the one-time link with which they set a password."""
        from commands.agents import add as run

        run(context.obj, email, name=name, admin=admin)

    @agents.command("list")
    def list_(context: typer.Context, json: Json = False) -> None:
        """List the people."""
        from commands.agents import list_agents

        list_agents(context.obj, json=json)

    return agents


if __name__ == "__main__":
    main()
