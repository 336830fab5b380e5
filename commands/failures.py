"""One line for people and one exit code for machines, whatever went wrong."""

import typer

DONE, FAILED, WRONG, NOT_READY = 0, 1, 2, 3


class CommandFailed(Exception):
    """Said as it is; ends the command with `code`."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def exit_code(error: Exception) -> int:
    """Print what went wrong on stderr; the code to exit with. Raises what nobody foresaw."""
    code = _code(error)
    if code is None:
        raise error
    typer.echo(f"tandem: {error}", err=True)
    return code


def _code(error: Exception) -> int | None:
    # By name where the class would have to be imported with half of the product.
    names = {f"{kind.__module__}.{kind.__name__}" for kind in type(error).__mro__}
    if isinstance(error, CommandFailed):
        return error.code
    if names & {"config.sources.SettingsError", "gateway.phrases.PhraseError"}:
        return WRONG
    if names & {"rag.errors.ModelUnavailable", "rag.errors.IndexUnavailable"}:
        return NOT_READY
    foreseen = {
        "config.folders.FolderError",
        "rag.errors.RagError",
        "storage.database.DatabaseError",
        "storage.migrate.SchemaTooNew",
        "sqlalchemy.exc.OperationalError",
        "app.StartError",
    }
    return FAILED if names & foreseen else None
