"""Both files of a race answer the validation rows, and a file without an answer loses the race but no work."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from training_samples import tiny_dataset
from tuning_samples import INPUT

from edgefer import pipeline, racing
from edgefer.backbones.base import Backbone
from edgefer.errors import ConversionError, EdgeferError, InputError, TargetUnavailableError
from edgefer.pipeline import Outcome
from edgefer.racing import Race

DATA = tiny_dataset()
TOY = Backbone(None, INPUT, DATA.labels, (), "toy", "")
FORM = SimpleNamespace(adjustable=True, id="tflite-int8", needs_calibration=False)


def answering(classes):
    """Probabilities of a network that is sure of ``classes`` (N,)."""
    return np.eye(9, dtype=np.float32)[classes]


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The race of two files that give the ``answers``, by name; nothing is converted and nothing timed."""

    def run(**answers) -> Race:
        def contender(path: Path, *, threads: int):
            def answer(pixels):
                assert pixels.dtype == np.uint8
                return answers[path.name]

            return SimpleNamespace(path=path, input=INPUT, labels=DATA.labels, answer=answer, threads=threads)

        def converted(backbone, form, _dataset, _out):
            return Outcome(form.id, Path(backbone.name), 0, 0.0, None)

        monkeypatch.setattr(racing, "_artifact", converted)
        monkeypatch.setattr(racing, "open_artifact", lambda path: path)
        monkeypatch.setattr(racing, "artifact_contender", contender)
        return racing.race(TOY, TOY, FORM, DATA, tmp_path)

    monkeypatch.setattr(racing, "_timed", lambda _, form: Race(format=form.id, fps=20.0, original_fps=10.0))
    return run


def test_each_file_is_scored_on_the_validation_rows(raced):
    truth = DATA.split("validation").labels
    wrong = np.where(np.arange(len(truth)) < 4, 8, truth)
    found = raced(original=answering(truth), compressed=answering(wrong))
    assert found.original_weighted_f1 == 1.0
    assert 0.7 < found.weighted_f1 < 0.95
    assert (found.speedup, found.skipped) == (2.0, "")


def test_a_file_that_answers_nothing_is_said_to_and_loses_no_stage(raced):
    truth = answering(DATA.split("validation").labels)
    found = raced(original=truth, compressed=np.where(np.arange(len(truth))[:, None] == 3, np.nan, truth))
    assert found.skipped.startswith("compressed: compressed: answers NaN for 1 of 16 images")
    assert (found.fps, found.weighted_f1) == (None, None)


def timed(invalid: str) -> SimpleNamespace:
    """A record of the bench."""
    timing = SimpleNamespace(fps=10.0, unstable="")
    return SimpleNamespace(timings=(timing,), artifact=SimpleNamespace(bytes=9), invalid=invalid)


@pytest.mark.parametrize(
    ("invalid", "said"), [(("", ""), ""), (("", "slowed"), "slowed"), (("busy", "busy"), "busy")]
)
def test_what_the_machine_says_against_its_times_is_kept(
    invalid: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(racing, "run", lambda *_: [timed(one) for one in invalid])
    assert racing._timed([], SimpleNamespace(id="tflite-int8")).invalid == said


def refusing(error: BaseException):
    def refuse(*_: object) -> None:
        raise error

    return refuse


@pytest.mark.parametrize("error", [InputError("no rows"), ConversionError("the export differs")])
def test_a_network_that_is_not_converted_loses_no_stage(
    error: EdgeferError, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(racing, "convert", refusing(error))
    found = racing.race(TOY, TOY, FORM, DATA, tmp_path)
    assert found == Race(format="tflite-int8", skipped=f"original: {error}")


def test_files_that_cannot_be_timed_lose_no_stage(raced, monkeypatch: pytest.MonkeyPatch):
    truth = answering(DATA.split("validation").labels)
    monkeypatch.setattr(racing, "_timed", refusing(TargetUnavailableError("the runtime is gone")))
    found = raced(original=truth, compressed=truth)
    assert (found.skipped, found.fps) == ("the runtime is gone", None)


def test_an_interrupt_that_native_code_made_an_error_of_stops_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(racing, "convert", refusing(ConversionError("interrupted")))
    monkeypatch.setattr("edgefer.interrupts.seen", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        racing.race(TOY, TOY, FORM, DATA, tmp_path)


def test_a_race_takes_the_users_word_about_the_range(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A network that was cut may score better in another range; that is nothing against the one it was made for."""
    monkeypatch.setattr(pipeline, "check_range", refusing(InputError("the range is wrong")))
    monkeypatch.setattr(pipeline, "measure_baseline", refusing(InputError("further on")))
    assert racing.race(TOY, TOY, FORM, DATA, tmp_path).skipped == "original: further on"
    with pytest.raises(InputError, match="the range is wrong"):
        pipeline.convert(TOY, [FORM], DATA, DATA, tmp_path, pipeline.Options(), lambda *_: None)
