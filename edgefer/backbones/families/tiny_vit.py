"""A vision transformer small enough for a device: convolutions make 6x6 patches of a 48x48 face, a few blocks of
attention follow.

Source: Dosovitskiy et al. 2021 for the blocks; the patches come from strided convolutions (Xiao et al. 2021, "Early
Convolutions Help Transformers See Better"), which little data needs; positions come from a depthwise convolution in
front of every block, whose zero padding tells where the borders are (Chu et al. 2021, "Conditional Positional
Encodings"). So the network consists of ordinary layers, and a saved file needs no code to be opened.
"""

from __future__ import annotations

from typing import Any

from edgefer.backbones.base import Family
from edgefer.backbones.families.heads import HeadOptions, with_head
from edgefer.backbones.families.options import read_options
from edgefer.errors import InputError


class Options(HeadOptions, frozen=True):
    """Settings of a recipe's ``[backbone.options]``.

    ``width`` is the length of a token, divisible by ``heads`` and by 4; ``depth`` counts the blocks; the dense
    layers inside a block are ``expansion`` times as wide. ``attention_dropout`` leaves out attention weights.
    """

    dropout: float = 0.1
    width: int = 128
    depth: int = 4
    heads: int = 4
    expansion: int = 2
    attention_dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.width, self.depth, self.heads, self.expansion) < 1:
            raise ValueError("width, depth, heads and expansion must be positive")
        if self.width % self.heads or self.width % 4:
            raise ValueError("width must be divisible by heads and by 4")
        if not 0 <= self.attention_dropout < 1:
            raise ValueError("attention_dropout must be in [0, 1)")


def build(
    input_shape: tuple[int, int, int], classes: int, weights: str | None, options: dict[str, Any]
) -> Any:
    """Return the uncompiled network for ``input_shape`` (height, width, channels).

    Raises:
        InputError: an unknown or bad option, or named weights (there are none for it).
    """
    chosen = read_options("tiny-vit", options, Options)
    if weights is not None:
        raise InputError(f"tiny-vit has no pretrained weights {weights!r}", hint='write weights = "none"')
    return with_head(_body(input_shape, chosen), classes, chosen, "tiny_vit")


def _body(input_shape: tuple[int, int, int], options: Options) -> Any:
    from keras import Input, Model, layers

    image = Input(input_shape, name="image")
    value = _patches(image, options.width)
    for number in range(1, options.depth + 1):
        value = _block(value, f"block{number}_", options)
    # Kept as a map, so that the head pools it like any other network's features.
    return Model(image, layers.LayerNormalization(epsilon=1e-6, name="norm")(value), name="body")


def _patches(value: Any, width: int) -> Any:
    """Three strided convolutions, each normalised: every eighth position, ``width`` channels."""
    from keras import layers

    for number, filters in enumerate((width // 4, width // 2, width), start=1):
        value = layers.Conv2D(filters, 3, 2, "same", use_bias=False, name=f"patch{number}_conv")(value)
        value = layers.BatchNormalization(momentum=0.95, name=f"patch{number}_norm")(value)
        if filters < width:
            value = layers.ReLU(name=f"patch{number}_relu")(value)
    return value


def _block(value: Any, name: str, options: Options) -> Any:
    """Positions, attention between them, two dense layers at each; every part adds to what came in."""
    from keras import layers

    height, side, width = value.shape[1:]
    position = layers.DepthwiseConv2D(3, padding="same", name=f"{name}position")(value)
    value = layers.Add(name=f"{name}position_add")([value, position])
    tokens = layers.Reshape((height * side, width), name=f"{name}tokens")(value)
    normal = layers.LayerNormalization(epsilon=1e-6, name=f"{name}attention_norm")(tokens)
    attended = _attention(normal, f"{name}attention_", options)
    tokens = layers.Add(name=f"{name}attention_add")([tokens, attended])
    normal = layers.LayerNormalization(epsilon=1e-6, name=f"{name}dense_norm")(tokens)
    hidden = layers.Dense(options.expansion * width, activation="relu", name=f"{name}dense1")(normal)
    hidden = layers.Dropout(options.dropout, name=f"{name}dense_dropout")(hidden)
    hidden = layers.Dense(width, name=f"{name}dense2")(hidden)
    tokens = layers.Add(name=f"{name}dense_add")([tokens, hidden])
    return layers.Reshape((height, side, width), name=f"{name}map")(tokens)


def _attention(tokens: Any, name: str, options: Options) -> Any:
    """Scaled dot-product attention of several heads.

    Not ``MultiHeadAttention``: its einsums have no shapes that ONNX Runtime's quantizer could infer.
    """
    from keras import layers

    width = tokens.shape[-1]
    size = width // options.heads
    answers = []
    for head in range(1, options.heads + 1):
        query, key, value = (
            layers.Dense(size, name=f"{name}{kind}{head}")(tokens) for kind in ("query", "key", "value")
        )
        query = layers.Rescaling(size**-0.5, name=f"{name}scale{head}")(query)
        answer = layers.Attention(dropout=options.attention_dropout, name=f"{name}head{head}")
        answers.append(answer([query, value, key]))
    value = layers.Concatenate(name=f"{name}heads")(answers) if len(answers) > 1 else answers[0]
    return layers.Dense(width, name=f"{name}output")(value)


FAMILIES = (Family(id="tiny-vit", build=build),)
