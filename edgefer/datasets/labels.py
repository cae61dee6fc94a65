"""The label sets, and the one table of what data sets call the expressions.

Every reader brings its own names or numbers to the canonical names (``meaning``) and these to a label set
(``numbers_of``); rows whose expression is not in the chosen set are left out and counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edgefer.errors import InputError
from edgefer.spec import LabelSet

FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown")
_FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
_AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
_CK = ("neutral", "anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")

_CLASSES = {
    "ferplus-9": FERPLUS,
    "ferplus-8": FERPLUS[:8],
    "fer2013-7": _FER2013,
    # S3's classes, and S4's: FER2013's without neutral; with neutral but without disgust.
    "basic-6": _FER2013[:6],
    "basic-5-neutral": tuple(name for name in _FER2013 if name != "disgust"),
}
LABEL_SETS = {source: LabelSet(source=source, names=names) for source, names in _CLASSES.items()}

# What can be made of one certain expression a row. FER+ stays with its votes: dropping classes from a vote
# would leave rows labelled with what most taggers did not see.
SINGLE_LABEL_SETS = ("fer2013-7", "ferplus-9", "ferplus-8", "basic-6", "basic-5-neutral")
FER2013_LABEL_SETS = ("fer2013-7", "basic-6", "basic-5-neutral")

SPELLINGS = {
    "anger": ("anger", "angry"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "afraid", "fearful", "scared"),
    "happiness": ("happiness", "happy", "joy"),
    "sadness": ("sadness", "sad"),
    "surprise": ("surprise", "surprised"),
    "contempt": ("contempt", "contemptuous"),
    "neutral": ("neutral", "neutrality"),
    "unknown": ("unknown",),
}
_CANONICAL = {word: name for name, words in SPELLINGS.items() for word in words}

# Codes mean something within their own set only: 0 is anger in FER2013 and neutral in AffectNet.
CODES: dict[str, dict[str, str]] = {
    "fer2013": {str(number): name for number, name in enumerate(_FER2013)},
    "affectnet": {str(number): name for number, name in enumerate(_AFFECTNET)},
    "ck+": {str(number): name for number, name in enumerate(_CK)},
    "jaffe": {
        "AN": "anger",
        "DI": "disgust",
        "FE": "fear",
        "HA": "happiness",
        "NE": "neutral",
        "SA": "sadness",
        "SU": "surprise",
    },
}


def codes_of(folder: str) -> Mapping[str, str]:
    """The codes of the set that a folder's name starts with (``AffectNet-8``, ``CK+48``); none for others."""
    found = (codes for name, codes in CODES.items() if folder.lower().startswith(name))
    return next(found, {})


def meaning(word: str, labels: LabelSet, where: str, codes: Mapping[str, str]) -> str:
    """The canonical name of an expression that a data set calls ``word``; ``where`` names its file.

    Raises:
        InputError: the word means no expression.
    """
    word = word.strip()
    found = codes.get(word.upper()) or _CANONICAL.get(word.lower())
    if found is None:
        raise InputError(
            f"{where}: {word!r} is no class of {labels.source}, nor another known expression",
            hint=f"its classes: {', '.join(labels.names)}",
        )
    return found


def numbers_of(
    names: Sequence[str], labels: LabelSet
) -> tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[np.bool_]]]:
    """Class numbers int64 (N,) of canonical names, and which rows (bool (N,), by name) have no class.

    The number of a row without a class means nothing.
    """
    position = {name: number for number, name in enumerate(labels.names)}
    numbers = np.array([position.get(name, 0) for name in names], np.int64)
    foreign = dict.fromkeys(name for name in names if name not in position)
    return numbers, {name: np.array([one == name for one in names], np.bool_) for name in foreign}
