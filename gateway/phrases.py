"""All that the system says, by key and language. The words are in config/phrases/*.toml."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, cast

from gateway.messages import Action, Attachment, Button
from rag.types import Language


class PhraseError(ValueError):
    """The phrase files do not fit each other or the code: said at start, all at once."""


@dataclass(frozen=True, slots=True)
class Phrases:
    """Texts by language and key, e.g. `phrases.say("notice.claimed", "en", agent="Ana")`."""

    texts: Mapping[Language, Mapping[str, str]]

    def say(self, key: str, language: Language, **values: Any) -> str:
        """The text in `language`, its {slots} filled."""
        return self.texts[language][key].format(**values)

    def button(self, action: Action, language: Language) -> Button:
        """The button with its label from `button.ACTION`."""
        return Button(self.texts[language][f"button.{action}"], action)

    def channel(self, name: str, language: Language) -> str:
        """What people call a channel; its own name where nobody gave it another."""
        return self.texts[language].get(f"channel.{name}", name)

    def files(self, files: Iterable[Attachment], language: Language) -> str:
        """What stands in the transcript for files that came without a word: "[photo] [photo]"."""
        kinds = [one.kind for one in files] or ["unsupported"]
        return " ".join(f"[{self.say(f'file.{kind}', language)}]" for kind in kinds)


def make_phrases(raw: Mapping[str, Mapping[str, Any]]) -> Phrases:
    """Phrases from nested tables, checked: every language has the same keys and the same slots.

    Raises PhraseError naming each difference.
    """
    texts = {language: dict(_flatten(tree)) for language, tree in raw.items()}
    reference = texts["en"]
    wrong: list[str] = []
    for language, own in texts.items():
        wrong += [f"{language}: missing {key}" for key in reference.keys() - own.keys()]
        wrong += [f"{language}: unknown {key}" for key in own.keys() - reference.keys()]
        wrong += [
            f"{language}: {key} has other {{slots}}"
            for key in own.keys() & reference.keys()
            if _slots(own[key]) != _slots(reference[key])
        ]
    if wrong:
        raise PhraseError("; ".join(sorted(wrong)))
    return Phrases(texts)  # pyright: ignore[reportArgumentType]


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            flat += _flatten(cast("dict[str, Any]", value), path + ".")
        else:
            flat.append((path, str(value)))
    return flat


def _slots(phrase: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(phrase) if name}
