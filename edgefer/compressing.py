"""A backbone goes through the stages of a plan; a stopped run goes on where it was.

Each stage has a folder of its own below the run's, ``1-channels`` and so on. What it made stands there as
``backbone.keras`` once it is finished, judged on the validation split. Its file is judged there too and, beside that of
the backbone that came in, timed. The last one's files stand in the run's folder, if the chain is to end in some.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from edgefer.backbones.base import Backbone
from edgefer.backbones.loading import load_backbone
from edgefer.backbones.merging import converted_cost
from edgefer.backbones.safety import refuse_code_in_keras3
from edgefer.backbones.storage import save_backbone, sidecar_path
from edgefer.compression.planning import Planned
from edgefer.conversion import Conversion, make_files
from edgefer.datasets.base import Dataset
from edgefer.datasets.scoring import require_own_images
from edgefer.errors import InputError, SettingError, UntrustedCodeError
from edgefer.files import sha256_of
from edgefer.formats.base import Format
from edgefer.metrics import Score
from edgefer.pipeline import FileRecord
from edgefer.racing import Race, race
from edgefer.recipe import ConvertPart
from edgefer.spec import Cost, Frozen, Step
from edgefer.training.record import DataUsed, data_used, installed_tools, read_record, write_record
from edgefer.training.run import Hooks
from edgefer.training.scoring import full_score, scores_of_test
from edgefer.workshop import workshop

SCHEMA = 4
_BACKBONE, _STAGE, _REQUEST, _RECORD = "backbone.keras", "stage.json", "request.json", "compress.json"


class CompressRequest(Frozen, frozen=True):
    """What was asked for: the model, the stages as they were written, the format that is timed, and the data.

    ``contract_sha256`` is a hash of what the model's input and outputs were said to mean, ``teachers`` maps the files
    that the stages name, as teachers or as what a student starts from, to their hashes.
    """

    model_sha256: str
    stages: tuple[dict[str, Any], ...]
    format: str
    data: DataUsed
    seed: int
    contract_sha256: str = ""
    teachers: dict[str, str] = msgspec.field(default_factory=dict)


class Standing(Frozen, frozen=True):
    """What a backbone is worth.

    ``cost`` is that of the network as it is converted; ``validation`` and ``test`` score the float backbone, the
    latter twice: on all rows and without leaked ones. Nothing is chosen by the test scores.
    """

    cost: Cost
    validation: Score
    test: Score | None
    test_clean: Score | None


class StageRecord(Frozen, frozen=True):
    """One finished stage: its settings, what it found, what came out, and how right and fast the file of that is."""

    stage: str
    settings: dict[str, Any]
    findings: dict[str, Any]
    seconds: float
    sha256: str
    standing: Standing
    race: Race


class CompressRecord(Frozen, frozen=True):
    """A whole run. ``original`` is the backbone that came in, ``sha256`` that of the model file that came out.

    ``conversion`` is how the chain ended and ``files`` what became of each format; without a conversion there are none.

    Schema history: 1 - first version; 2 - the request holds contract and teachers, of older ones nothing; 3 - a race
    says how both files score; 4 - the model file's hash, ``conversion`` and ``files``, of older ones nothing.
    """

    schema: int
    request: CompressRequest
    name: str
    original: Standing
    stages: tuple[StageRecord, ...]
    tools: dict[str, str]
    sha256: str = ""
    conversion: ConvertPart | None = None
    files: tuple[FileRecord, ...] = ()


@dataclass(frozen=True)
class Compressed:
    """The last stage's backbone, as saved at ``path``, and the record of the run."""

    backbone: Backbone
    record: CompressRecord
    path: Path


@dataclass(frozen=True)
class Job:
    """What all stages of a run share.

    ``form`` is the format in which they are timed; ``ending`` says in which files the chain ends, None for none.
    """

    dataset: Dataset
    form: Format
    out: Path
    seed: int
    hooks: Hooks
    ending: Conversion | None = None


def compress(backbone: Backbone, plan: Sequence[Planned], job: Job) -> Compressed:
    """Take ``backbone`` through the stages of ``plan``; leave model, files and record in the job's folder.

    A run that was stopped in this folder goes on behind its last finished stage, and inside an unfinished one where
    that stage keeps what it has. Behind a finished stage those that did not end may be others: what these left is
    removed. Model and files of a finished run are left as they are; it may end in other files.

    Raises:
        InputError: a SavedModel, a network that carries code, a split without an image of its own to be scored on, a
            folder in use.
        SettingError: a stage cannot do what its settings say; ``key`` begins with the stage's place in the plan.
        EdgeferError: what a stage raises.
    """
    if not backbone.trainable:
        raise InputError(
            f"{backbone.name}: a SavedModel has no layers to compress", hint="give the .keras or .h5 file"
        )
    _refuse_code(backbone)
    require_own_images(job.dataset)
    request = CompressRequest(
        model_sha256=backbone.sha256,
        stages=tuple(one.raw for one in plan),
        format=job.form.id,
        data=data_used(job.dataset),
        seed=job.seed,
        contract_sha256=_contract_sha256(backbone),
        teachers=_hashes(plan),
    )
    _claim(job.out, request, job.hooks.note)
    original, current = backbone, backbone
    records = []
    for number, planned in enumerate(plan):
        folder = _folder(job.out, number, planned.stage.id)
        current, finished = _finished(folder) or _run(number, planned, original, current, folder, job)
        records.append(finished)
    path = job.out / f"{backbone.name}.keras"
    before = _before(job.out, records[-1])
    saved = _saved(replace(current, name=backbone.name), path, before)
    conversion, files = _end(saved, job, before)
    record = CompressRecord(
        schema=SCHEMA,
        request=request,
        name=backbone.name,
        original=standing(original, job.dataset),
        stages=tuple(records),
        tools=installed_tools(),
        sha256=saved.sha256,
        conversion=conversion,
        files=files,
    )
    write_record(job.out / _RECORD, record)
    return Compressed(saved, record, path)


def _refuse_code(backbone: Backbone) -> None:
    """Stages save what they make and open it again, from files that nobody was asked to trust."""
    try:
        refuse_code_in_keras3(Path(backbone.name), json.loads(backbone.model.to_json()))
    except UntrustedCodeError as error:
        raise InputError(
            f"{error.message}; stages save the network and open it again, which --trust does not cover",
            hint="build that part of it from Keras's own layers",
        ) from error


def _before(out: Path, last: StageRecord) -> CompressRecord | None:
    """The record of an earlier call that ended in the same ``last`` stage, if there is one."""
    if not (out / _RECORD).exists():
        return None
    record: CompressRecord = read_record(out / _RECORD, CompressRecord)
    return record if record.stages[-1].sha256 == last.sha256 else None


def _saved(backbone: Backbone, path: Path, before: CompressRecord | None) -> Backbone:
    """Write the model, unless an earlier call did: Keras writes no file twice alike, and artifacts name its hash."""
    if before and _stands(path, before.sha256) and sidecar_path(path).exists():
        return replace(backbone, sha256=before.sha256)
    return save_backbone(backbone, path)


def _end(
    backbone: Backbone, job: Job, before: CompressRecord | None
) -> tuple[ConvertPart | None, tuple[FileRecord, ...]]:
    """How the chain ends, and its files: an earlier call's, if all are there and no others are wanted."""
    wanted = job.ending.part if job.ending else None
    files = tuple(_found(file, job.out) for file in before.files) if before else ()
    whole = before is not None and before.sha256 == backbone.sha256 and all(map(_is_there, files))
    if before and whole and wanted in (None, before.conversion):
        return before.conversion, files
    if job.ending is None:
        return None, ()
    job.hooks.note(f"files: {', '.join(form.id for form in job.ending.formats)}")
    return wanted, make_files(job.ending, backbone, job.dataset, job.out, job.hooks.step)


def _found(file: FileRecord, out: Path) -> FileRecord:
    """The record of a file of a run whose folder ``out`` may go by another name than when it was made."""
    return msgspec.structs.replace(file, path=str(out / Path(file.path).name)) if file.path else file


def _is_there(file: FileRecord) -> bool:
    return file.path is not None and _stands(Path(file.path), file.sha256)


def _stands(path: Path, sha256: str) -> bool:
    return path.exists() and sha256_of(path) == sha256


def _contract_sha256(backbone: Backbone) -> str:
    said = (backbone.input, backbone.labels, [step.name for step in backbone.lineage])
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()


def _folder(out: Path, number: int, stage: str) -> Path:
    """The folder of a stage; ``number`` counts from 0."""
    return out / f"{number + 1}-{stage}"


def _hashes(plan: Sequence[Planned]) -> dict[str, str]:
    """Hashes of the files that a plan's stages name, by their names there, as far as they exist."""
    paths = {name: Path(name).expanduser() for one in plan for name in _files_named(one.raw)}
    return {name: sha256_of(path) for name, path in paths.items() if path.exists()}


def _files_named(settings: Any) -> Iterator[str]:
    """Files in a stage's settings, at whatever depth: teachers, and weights that are no mere word."""
    if not isinstance(settings, dict):
        return
    for key, value in settings.items():
        if key == "teachers" and isinstance(value, list | tuple):
            yield from (file for file in value if isinstance(file, str))
        if key == "weights" and isinstance(value, str) and Path(value).suffix:
            yield value
        yield from _files_named(value)


def _claim(out: Path, request: CompressRequest, note: Callable[[str], None]) -> None:
    """Begin a run in an empty folder, or one in which nothing was made yet, or go on with the same one."""
    file = out / _REQUEST
    if not file.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{out} is not empty", hint="give another --out")
    elif not all(each == file or each.is_dir() for each in out.rglob("*")):
        before = read_record(file, CompressRequest)
        now = msgspec.structs.replace(request, data=request.data.as_known_to(before.data))
        _go_on(out, before, now, note)
    write_record(file, request)


def _go_on(out: Path, before: CompressRequest, request: CompressRequest, note: Callable[[str], None]) -> None:
    """Refuse to mix two runs; remove what stages left that did not end and are other ones now.

    A stage can fail by its settings after hours of those before it. Where nothing is finished there is less to lose
    by beginning elsewhere than by removing what may have been meant to go on, and a whole run is not changed.
    """
    ended = (out / _RECORD).exists()
    same = slice(None if ended else _number_finished(out, before) or None)
    if _part(before, same) != _part(request, same):
        raise InputError(
            f"{out} was begun with another model, data, teachers or other stages",
            hint="repeat it as it was begun, or give another --out",
        )
    for number, stage in enumerate(before.stages):
        alone, folder = slice(number, number + 1), _folder(out, number, stage["stage"])
        if folder.exists() and _part(before, alone) != _part(request, alone):
            note(f"{folder}: begun anew, for the stage is another one now")
            shutil.rmtree(folder)


def _number_finished(out: Path, request: CompressRequest) -> int:
    """How many stages ended, one after the other."""
    folders = (_folder(out, number, stage["stage"]) for number, stage in enumerate(request.stages))
    return sum(1 for _ in takewhile(lambda folder: (folder / _STAGE).exists(), folders))


def _part(request: CompressRequest, which: slice) -> Any:
    """What was asked of some of the stages, and of all of them alike."""
    stages = request.stages[which]
    named = {name for stage in stages for name in _files_named(stage)}
    hashes = {name: sha256 for name, sha256 in request.teachers.items() if name in named}
    return msgspec.to_builtins(msgspec.structs.replace(request, stages=stages, teachers=hashes))


def _finished(folder: Path) -> tuple[Backbone, StageRecord] | None:
    """What an earlier call made in this stage, None if it did not end."""
    file = folder / _STAGE
    if not file.exists():
        return None
    record, backbone = read_record(file, StageRecord), load_backbone(folder / _BACKBONE)
    if backbone.sha256 != record.sha256:
        raise InputError(
            f"{folder / _BACKBONE}: is not what this stage made", hint="begin again with another --out"
        )
    return backbone, record


def _run(
    number: int, planned: Planned, original: Backbone, current: Backbone, folder: Path, job: Job
) -> tuple[Backbone, StageRecord]:
    started = time.perf_counter()
    job.hooks.note(f"stage {number + 1}: {planned.stage.id}")
    tools = workshop(original, current.input, job.dataset, folder, job.seed, job.hooks, job.form)
    try:
        result = planned.stage.run(current, planned.options, tools)
    except SettingError as error:
        key = f"stages[{number}].{error.key}"
        raise SettingError(f"stage {planned.stage.id}: {error.message}", key=key, hint=error.hint) from error
    seconds = time.perf_counter() - started
    reached = standing(result.backbone, job.dataset)
    raced = race(original, result.backbone, job.form, job.dataset, folder)
    step = Step(
        name=planned.stage.id,
        config={**planned.raw, "findings": result.findings, **_in_short(reached, raced)},
        seconds=round(seconds, 2),
    )
    saved = save_backbone(result.backbone.after(step), folder / _BACKBONE)
    record = StageRecord(
        stage=planned.stage.id,
        settings=planned.raw,
        findings=result.findings,
        seconds=seconds,
        sha256=saved.sha256,
        standing=reached,
        race=raced,
    )
    write_record(folder / _STAGE, record)
    return saved, record


def standing(backbone: Backbone, dataset: Dataset) -> Standing:
    """Score a float backbone and count what its converted network costs."""
    test, clean = scores_of_test(backbone, dataset)
    return Standing(
        cost=converted_cost(backbone.model),
        validation=full_score(backbone, dataset.split("validation")),
        test=test,
        test_clean=clean,
    )


def _in_short(reached: Standing, raced: Race) -> dict[str, Any]:
    """What the lineage of everything made of this backbone says about the stage."""
    return {
        "validation_weighted_f1": reached.validation.weighted_f1,
        "macs": reached.cost.macs,
        "parameters": reached.cost.parameters,
        "race": msgspec.to_builtins(raced),
    }
