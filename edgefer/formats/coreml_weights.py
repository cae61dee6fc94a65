"""Weights of Core ML packages made smaller, with coremltools.optimize: integers, palettes, zeros.

Activations stay float16. Tensors of up to 2,048 values, biases among them, are left as they are: they would gain
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from edgefer.formats.coreml_package import System


@dataclass(frozen=True)
class Compression:
    """What is done to a float16 package of ``system``: ``apply(mlmodel)`` gives a new one; ``config`` tells of it."""

    system: System
    config: Mapping[str, Any]
    apply: Callable[[Any], Any]


def integers() -> Compression:
    """Linear symmetric int8 weights, one scale an output channel."""

    def apply(model: Any) -> Any:
        import coremltools.optimize as cto

        return cto.coreml.linear_quantize_weights(model, _config(cto.coreml.OpLinearQuantizerConfig()))

    return Compression("iOS17", {"weights": "int8, a scale an output channel"}, apply)


def palette(bits: int) -> Compression:
    """Weights as indices into a k-means table of 2**bits values a layer."""

    def apply(model: Any) -> Any:
        import coremltools.optimize as cto

        return cto.coreml.palettize_weights(model, _config(cto.coreml.OpPalettizerConfig(nbits=bits)))

    return Compression("iOS17", {"weights": f"{bits}-bit palette a layer"}, apply)


def grouped_palette(bits: int, channels: int) -> Compression:
    """A table of 2**bits values for each group of ``channels`` output channels, which iOS 18 knows.

    A layer whose channels do not divide into groups has one table.
    """

    def apply(model: Any) -> Any:
        import coremltools.optimize as cto

        config = cto.coreml.OpPalettizerConfig(
            mode="custom",
            lut_function=_clusters(bits),
            granularity="per_grouped_channel",
            group_size=channels,
        )
        grouped = cto.coreml.palettize_weights(model, _config(config))
        return cto.coreml.palettize_weights(grouped, _config(cto.coreml.OpPalettizerConfig(nbits=bits)))

    return Compression("iOS18", {"weights": f"{bits}-bit palette for {channels} channels"}, apply)


def pruned_palette(bits: int, sparsity: float) -> Compression:
    """The smallest weights of a layer zero and not stored, the rest as indices into a table: iOS 18's joint form.

    At least the share ``sparsity`` of a layer's weights becomes zero: all weights that are already zero, as after
    the stage ``magnitude``, stay so.
    """

    def apply(model: Any) -> Any:
        import coremltools.optimize as cto

        pruner = cto.coreml.OpMagnitudePrunerConfig(target_sparsity=sparsity)
        pruned = cto.coreml.prune_weights(model, _config(pruner))
        palettizer = cto.coreml.OpPalettizerConfig(nbits=bits)
        return cto.coreml.palettize_weights(pruned, _config(palettizer), joint_compression=True)

    config = {"weights": f"{bits}-bit palette a layer", "sparsity": sparsity, "fine_tuned": False}
    return Compression("iOS18", config, apply)


def _clusters(bits: int) -> Callable[[Any], tuple[Any, Any]]:
    """Exact one-dimensional k-means; what coremltools takes for small groups is slower and ends in local minima."""
    from coremltools.models.neural_network import quantization_utils

    def table(weights: Any) -> tuple[Any, Any]:
        values, indices = quantization_utils._get_kmeans_lookup_table_and_weight(
            bits, weights, force_kmeans1d=True
        )
        return values.astype(weights.dtype), indices

    return table


def _config(each: Any) -> Any:
    import coremltools.optimize as cto

    return cto.coreml.OptimizationConfig(each)
