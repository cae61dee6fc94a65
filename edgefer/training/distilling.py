"""A student's loss: part of it from the targets, part of it from what its teachers answer."""

from __future__ import annotations

from functools import cache
from typing import Any

from edgefer.recipe import Distillation, TrainingPart
from edgefer.training.features import feature_tensor

_PROJECTED = "projected_features"
_LESSON = "lesson"


def learner_of(model: Any, distillation: Distillation | None, features: int) -> Any:
    """What is compiled and fitted in order to train ``model``: itself or, with a hint, a network around it.

    The network around it shares all of its layers and puts out its probabilities (N, classes) and, behind them, a
    linear map of its features onto the teachers' ``features`` values.
    """
    import keras

    if distillation is None or not distillation.hint:
        return model
    projected = keras.layers.Dense(features, dtype="float32", name=_PROJECTED)(feature_tensor(model))
    both = keras.layers.Concatenate(dtype="float32", name=_LESSON)([model.outputs[0], projected])
    return keras.Model(model.inputs[0], both, name=model.name)


def model_of(learner: Any) -> Any:
    """The network that ``learner_of`` was given."""
    import keras

    if learner.layers[-1].name != _LESSON:
        return learner
    return keras.Model(learner.inputs[0], learner.layers[-1].input[0], name=learner.name)


def loss_of(training: TrainingPart, classes: int) -> Any:
    """The loss between targets and outputs: cross-entropy, with the teachers' part where there are any.

    With teachers, targets are the wanted distribution (N, classes), the teachers' probabilities (N, classes) and their
    features, one behind the other.
    """
    import keras

    if training.distillation is None:
        return keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
    taught = training.distillation
    loss: Any = loss_class()(classes, taught.temperature, taught.share, taught.hint, training.label_smoothing)
    return loss


@cache
def loss_class() -> type:
    """The class of a student's loss; made on demand, for Keras takes seconds to import."""
    import keras
    from keras import ops

    class DistillationLoss(keras.losses.Loss):  # type: ignore[misc]  # Keras is untyped
        """(1 - share) CE(targets, p) + share T² CE(q_T, p_T) + hint MSE(features).

        p_T is p softened by the temperature T. T² keeps the gradients' size (Hinton, Vinyals and Dean 2015, section 2).
        """

        def __init__(
            self,
            classes: int,
            temperature: float,
            share: float,
            hint: float,
            label_smoothing: float,
            name: str = "distillation",
        ) -> None:
            super().__init__(name=name)
            self.settings = {
                "classes": classes,
                "temperature": temperature,
                "share": share,
                "hint": hint,
                "label_smoothing": label_smoothing,
            }

        def call(self, y_true: Any, y_pred: Any) -> Any:
            count, share = self.settings["classes"], self.settings["share"]
            wanted, taught, features = y_true[:, :count], y_true[:, count : 2 * count], y_true[:, 2 * count :]
            answered, projected = y_pred[:, :count], y_pred[:, count:]
            smoothing = self.settings["label_smoothing"]
            plain = keras.losses.categorical_crossentropy(wanted, answered, label_smoothing=smoothing)
            loss = (1 - share) * plain + share * self._softened(taught, answered)
            if not self.settings["hint"]:
                return loss
            return loss + self.settings["hint"] * ops.mean(ops.square(features - projected), axis=-1)

        def _softened(self, taught: Any, answered: Any) -> Any:
            temperature = self.settings["temperature"]
            teacher = ops.softmax(_logarithm(taught) / temperature)
            student = ops.log_softmax(_logarithm(answered) / temperature)
            return -(temperature**2) * ops.sum(teacher * student, axis=-1)

        def get_config(self) -> dict[str, Any]:
            return {**self.settings, "name": self.name}

    def _logarithm(probabilities: Any) -> Any:
        return ops.log(ops.clip(probabilities, 1e-7, 1.0))

    return DistillationLoss
