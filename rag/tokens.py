"""How many tokens a text has, estimated: every model counts in its own way.

Rather too many than too few, so that what fits by this count fits any common model.
"""

from rag.language import cjk_count

_LETTERS_PER_TOKEN = 3  # English has about four


def estimate_tokens(text: str) -> int:
    """Tokens of `text`: one for each Chinese character, one for three others."""
    cjk = cjk_count(text)
    return cjk + (len(text) - cjk + _LETTERS_PER_TOKEN - 1) // _LETTERS_PER_TOKEN
