"""The label sets the readers answer, and the one table of names that mean the same expression."""

from __future__ import annotations

from edgefer.errors import InputError
from edgefer.spec import LabelSet

_FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown")

LABEL_SETS = {
    "ferplus-9": LabelSet(source="ferplus-9", names=_FERPLUS),
    "ferplus-8": LabelSet(source="ferplus-8", names=_FERPLUS[:8]),
    "fer2013-7": LabelSet(
        source="fer2013-7", names=("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
    ),
}

ALIASES = {
    **{name: name for name in _FERPLUS},
    "angry": "anger",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happy": "happiness",
    "joy": "happiness",
    "sad": "sadness",
    "surprised": "surprise",
    "contemptuous": "contempt",
    "neutrality": "neutral",
}


def class_number(name: str, labels: LabelSet, where: str) -> int:
    """The position of ``name``, through the aliases, in ``labels``; ``where`` names its file in the error.

    Raises:
        InputError: the name means no class of the set.
    """
    meaning = ALIASES.get(name.strip().lower())
    if meaning not in labels.names:
        raise InputError(
            f"{where}: {name!r} is no class of {labels.source}",
            hint=f"its classes: {', '.join(labels.names)}",
        )
    return labels.names.index(meaning)
