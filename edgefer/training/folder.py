"""A run's folder: what was asked, how far it came, and what it needs to go on.

======================  ====================================================================================
``request.json``        the recipe and the data, written first
``state.json``          finished epochs and the names of the two files below; replaced after each epoch
``epoch-NNN.keras``     network, optimizer and random state after the last finished epoch
``best-NNN.weights.h5`` weights of the best epoch so far: the moving averages where the recipe asks for them
``history.csv``         the finished epochs, for people and plots
``model.keras``         the result, with its sidecar ``model.edgefer.json``
``train.json``          the record of what ran; written last
======================  ====================================================================================

``state.json`` is replaced in one step and names files that are complete, so a killed run loses at most one
epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgefer.errors import InputError
from edgefer.spec import Frozen
from edgefer.training.record import Epoch, Request, read_record, write_history, write_record


class State(Frozen, frozen=True):
    """How far a run came. ``weights`` says in words what it started from; no names before epoch 1."""

    weights: str
    checkpoint: str = ""
    best: str = ""
    best_epoch: int = 0
    history: tuple[Epoch, ...] = ()

    def after(self, epoch: Epoch) -> State:
        """The state with one more finished epoch."""
        history = (*self.history, epoch)
        best = max(history, key=lambda one: one.validation_weighted_f1).number
        return State(self.weights, f"epoch-{epoch.number:03d}.keras", best_file(best), best, history)


def best_file(epoch: int) -> str:
    """Name of the weights that were best when ``epoch`` was finished."""
    return f"best-{epoch:03d}.weights.h5"


# The recipe stands there as changed; its stages and files come when the network is trained.
_NO_MATTER = ("overrides", "recipe.stages", "recipe.convert")


@dataclass(frozen=True)
class RunFolder:
    """The files of one run below ``path``."""

    path: Path

    def check_free(self) -> None:
        """Refuse a folder that a new run would overwrite.

        Raises:
            InputError: there is something in it already.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            hint = "add --resume to go on with the run in it" if self.unfinished else "give another --out"
            raise InputError(f"{self.path} is not empty", hint=hint)

    def begin(self, request: Request) -> None:
        """Claim the folder for a new run."""
        write_record(self.path / "request.json", request)

    def resume(self, request: Request) -> State | None:
        """How far the run in this folder came; None if it was stopped in its first epoch.

        Raises:
            InputError: there is no unfinished run here, or it was asked for something else.
        """
        if not self.unfinished:
            what = "is finished" if (self.path / "train.json").exists() else "holds no run"
            raise InputError(
                f"{self.path} {what}: nothing to resume", hint="leave --resume away, or give another --out"
            )
        before = read_record(self.path / "request.json", Request)
        now = msgspec.structs.replace(request, data=request.data.as_known_to(before.data))
        if changed := _differences(msgspec.to_builtins(before), msgspec.to_builtins(now)):
            raise InputError(
                f"{self.path} was begun with other settings: {', '.join(changed)}",
                hint="resume with the same recipe, settings and data, or give another --out",
            )
        state = self.path / "state.json"
        return read_record(state, State) if state.exists() else None

    @property
    def unfinished(self) -> bool:
        """A run was begun here and has not written its record."""
        return (self.path / "request.json").exists() and not (self.path / "train.json").exists()

    def save_best(self, model: Any, epoch: int) -> None:
        """Write the weights of a new best epoch, to be named by the next ``state``."""
        model.save_weights(self.path / best_file(epoch))

    def save(self, model: Any, state: State) -> None:
        """Write the checkpoint that ``state`` names, then ``state``."""
        model.save(self.path / state.checkpoint)
        write_record(self.path / "state.json", state)
        write_history(self.path / "history.csv", state.history)
        self._prune({state.checkpoint, state.best})

    def finish(self) -> None:
        """Remove what only a resumed run would have needed."""
        self._prune(set())
        (self.path / "state.json").unlink()

    def _prune(self, keep: set[str]) -> None:
        for pattern in ("epoch-*.keras", "best-*.weights.h5"):
            for file in self.path.glob(pattern):
                if file.name not in keep:
                    file.unlink()


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Dotted names of the values of two requests that differ and decide something about the training."""
    return _differing(_by_hashes(before), _by_hashes(now))


def _by_hashes(request: dict[str, Any]) -> dict[str, Any]:
    """A request with hashes in place of the files that have one: where a network's file stands does not matter."""
    recipe, hashes = request["recipe"], request["models"]
    backbone, training = recipe["backbone"], recipe["training"]
    known = {"backbone": {**backbone, "weights": hashes.get(backbone["weights"], backbone["weights"])}}
    if taught := training["distillation"]:
        teachers = [hashes.get(name, name) for name in taught["teachers"]]
        known["training"] = {**training, "distillation": {**taught, "teachers": teachers}}
    return {**request, "recipe": {**recipe, **known}, "models": sorted(hashes.values())}


def _differing(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key in sorted(before.keys() | now.keys()):
        one, two, name = before.get(key), now.get(key), f"{prefix}{key}"
        if one == two or name in _NO_MATTER:
            continue
        if isinstance(one, dict) and isinstance(two, dict):
            found += _differing(one, two, f"{name}.")
        else:
            found.append(name)
    return found
