"""What each operation of an ML Program computes, against TensorFlow's, SciPy's or the standard library's."""

import functools
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.special as special

from edgefer.runtimes.mil.program import operations

# Sums of up to a few hundred float32 products of numbers around one, in another order.
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
RNG = np.random.default_rng(0)


def compute(name, **arguments):
    return operations()[name].compute(**arguments)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def last(x):
    """Channels first to channels last, as TensorFlow on a CPU wants them."""
    return np.moveaxis(x, 1, -1)


def first(x):
    return np.moveaxis(np.asarray(x), -1, 1)


PADDING = (("valid", None), ("same", None), ("custom", (1, 2, 0, 1)))


def tf_padding(kind, pad):
    return kind.upper() if pad is None else [(0, 0), tuple(pad[:2]), tuple(pad[2:]), (0, 0)]


# TensorFlow knows no strides together with dilations.
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (3, 1), (1, 2)])
@pytest.mark.parametrize("padding", PADDING)
@pytest.mark.parametrize(
    ("kernel", "groups"), [((3, 3), 1), ((2, 5), 1), ((1, 1), 1), ((3, 2), 2), ((3, 3), 6)]
)
def test_conv(kernel, groups, padding, stride, dilation):
    import tensorflow as tf

    x, weight, bias = normal(2, 6, 11, 10), normal(12, 6 // groups, *kernel), normal(12)
    kind, pad = padding
    found = compute(
        "conv", x=x, weight=weight, bias=bias, strides=(stride, stride), dilations=(dilation, dilation),
        pad_type=kind, pad=pad, groups=groups,
    )  # fmt: skip
    parts = [
        tf.nn.conv2d(
            last(part), kernels.transpose(2, 3, 1, 0), stride, tf_padding(kind, pad), dilations=dilation
        )
        for part, kernels in zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    ]
    assert np.allclose(found, first(tf.concat(parts, -1) + bias), **CLOSE)


@pytest.mark.parametrize(("padding", "stride"), [*product(PADDING, (1, 2, 3))])
def test_largest_values_of_windows(padding, stride):
    import tensorflow as tf

    kind, pad = padding
    x = normal(2, 3, 11, 10)
    found = compute("max_pool", x=x, kernel_sizes=(3, 2), strides=(stride, stride), pad_type=kind, pad=pad)
    assert np.allclose(
        found, first(tf.nn.max_pool2d(last(x), (3, 2), stride, tf_padding(kind, pad))), **CLOSE
    )


@pytest.mark.parametrize(("kind", "stride"), [*product(("valid", "same"), (1, 2, 3))])
def test_means_of_windows_without_padding_as_tensorflow_takes_them(kind, stride):
    import tensorflow as tf

    x, how = normal(2, 3, 11, 10), {"kernel_sizes": (3, 2), "strides": (stride, stride), "pad_type": kind}
    found = compute("avg_pool", x=x, exclude_padding_from_average=True, **how)
    assert np.allclose(found, first(tf.nn.avg_pool2d(last(x), (3, 2), stride, kind.upper())), **CLOSE)


def test_means_with_padding_are_sums_over_the_whole_kernel():
    x = normal(1, 2, 5, 5)
    found = compute("avg_pool", x=x, kernel_sizes=(2, 2), strides=(1, 1), pad_type="custom", pad=(1, 0, 0, 1))
    padded = np.pad(x, [(0, 0), (0, 0), (1, 0), (0, 1)])
    expected = sum(padded[..., i : i + 5, j : j + 5] for i in (0, 1) for j in (0, 1)) / 4
    assert np.allclose(found, expected, **CLOSE)


def test_a_rounded_up_count_of_windows_lets_the_last_one_end_behind_the_input():
    x = np.arange(6, dtype=np.float32).reshape(1, 1, 6)
    how = {"x": x, "kernel_sizes": (3,), "strides": (2,)}
    assert compute("max_pool", **how).tolist() == [[[2, 4]]]
    assert compute("max_pool", **how, ceil_mode=True).tolist() == [[[2, 4, 5]]]


def test_convolution_in_one_and_three_dimensions():
    import tensorflow as tf

    x, weight = normal(2, 3, 9), normal(4, 3, 3)
    expected = tf.nn.conv1d(last(x), weight.transpose(2, 1, 0), 2, "SAME")
    assert np.allclose(
        compute("conv", x=x, weight=weight, strides=(2,), pad_type="same"), first(expected), **CLOSE
    )
    x, weight = normal(1, 2, 5, 4, 6), normal(3, 2, 2, 3, 2)
    expected = tf.nn.conv3d(last(x), weight.transpose(2, 3, 4, 1, 0), [1] * 5, "VALID")
    assert np.allclose(compute("conv", x=x, weight=weight), first(expected), **CLOSE)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kind", ["same", "valid"])
@pytest.mark.parametrize(("kernel", "groups"), [((3, 3), 1), ((2, 5), 1), ((1, 1), 1), ((3, 2), 2)])
def test_transposed_convolution(kernel, groups, kind, stride):
    import tensorflow as tf

    x, weight, bias = normal(2, 6, 5, 4), normal(6, 8 // groups, *kernel), normal(8)
    sizes = [
        size * stride if kind == "same" else (size - 1) * stride + span
        for size, span in zip((5, 4), kernel, strict=True)
    ]
    found = compute(
        "conv_transpose",
        x=x,
        weight=weight,
        bias=bias,
        strides=(stride, stride),
        pad_type=kind,
        groups=groups,
    )
    parts = [
        tf.nn.conv2d_transpose(
            last(part), kernels.transpose(2, 3, 1, 0), (2, *sizes, 8 // groups), stride, kind.upper()
        )
        for part, kernels in zip(np.split(x, groups, axis=1), np.split(weight, groups), strict=True)
    ]
    assert np.allclose(found, first(tf.concat(parts, -1) + bias), **CLOSE)


def test_transposed_convolution_into_a_stated_shape():
    import tensorflow as tf

    x, weight = normal(2, 3, 5, 4), normal(3, 4, 3, 3)
    for kind, sizes in (("same", (9, 8)), ("valid", (12, 9))):
        found = compute(
            "conv_transpose", x=x, weight=weight, strides=(2, 2), pad_type=kind, output_shape=(2, 4, *sizes)
        )
        theirs = tf.nn.conv2d_transpose(
            last(x), weight.transpose(2, 3, 1, 0), (2, *sizes, 4), 2, kind.upper()
        )
        assert np.allclose(found, first(theirs), **CLOSE)
    whole = compute("conv_transpose", x=x, weight=weight, strides=(2, 2))
    cut = compute("conv_transpose", x=x, weight=weight, strides=(2, 2), pad_type="custom", pad=(1, 0, 0, 2))
    assert np.array_equal(cut, whole[:, :, 1:, :-2])
    with pytest.raises(ValueError, match="do not spread over"):
        compute("conv_transpose", x=x, weight=weight, output_shape=(2, 4, 20, 20))


@pytest.mark.parametrize("corners", [True, False])
def test_resizing_between_values(corners):
    import tensorflow as tf

    x = normal(2, 3, 5, 4)
    found = compute(
        "upsample_bilinear", x=x, scale_factor_height=2.0, scale_factor_width=3, align_corners=corners
    )
    theirs = tf.raw_ops.ResizeBilinear(
        images=last(x), size=(10, 12), align_corners=corners, half_pixel_centers=not corners
    )
    assert np.allclose(found, first(theirs), **CLOSE)


SIGNED, POSITIVE = normal(3, 40) * 4, np.abs(normal(3, 40)) + np.float32(0.1)
UNARY = {
    "abs": (np.abs, SIGNED), "ceil": (np.ceil, SIGNED), "cos": (np.cos, SIGNED), "floor": (np.floor, SIGNED),
    "erf": (special.erf, SIGNED), "exp": (np.exp, SIGNED), "exp2": (np.exp2, SIGNED), "round": (np.rint, SIGNED),
    "sign": (np.sign, SIGNED), "sin": (np.sin, SIGNED), "square": (np.square, SIGNED), "tanh": (np.tanh, SIGNED),
    "sqrt": (np.sqrt, POSITIVE), "rsqrt": (lambda x: x**-0.5, POSITIVE), "log": (np.log, POSITIVE),
    "inverse": (lambda x: 1 / (x + 1e-4), POSITIVE), "sigmoid": (special.expit, SIGNED),
    "silu": (lambda x: x * special.expit(x), SIGNED), "relu": (lambda x: x * (x > 0), SIGNED),
    "relu6": (lambda x: np.minimum(np.maximum(x, 0), 6), SIGNED), "softsign": (lambda x: x / (1 + abs(x)), SIGNED),
    "softplus": (lambda x: np.log1p(np.exp(x)), SIGNED), "identity": (lambda x: x, SIGNED),
    "gelu": (lambda x: x * special.ndtr(x), SIGNED),
}  # fmt: skip


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name):
    function, x = UNARY[name]
    # Against double precision: a few units in the last place of the result, or of the ones added on the way.
    assert np.allclose(compute(name, x=x), function(x.astype(np.float64)), rtol=2e-6, atol=2e-6)


def test_activations_with_parameters():
    import tensorflow as tf

    x = normal(2, 3, 4, 4) * 3
    assert np.allclose(compute("leaky_relu", x=x, alpha=0.1), tf.nn.leaky_relu(x, 0.1), **CLOSE)
    assert np.allclose(compute("elu", x=x, alpha=1.0), tf.nn.elu(x), **CLOSE)
    alpha = normal(3)
    prelu = tf.keras.layers.PReLU(shared_axes=[1, 2])
    prelu.build((None, 4, 4, 3))
    prelu.set_weights([alpha.reshape(1, 1, 3)])
    assert np.allclose(compute("prelu", x=x, alpha=alpha), first(prelu(last(x))), **CLOSE)
    assert np.allclose(
        compute("sigmoid_hard", x=x, alpha=1 / 6, beta=0.5), tf.keras.activations.hard_sigmoid(x), **CLOSE
    )
    assert np.allclose(
        compute("gelu", x=x, mode="TANH_APPROXIMATION"), tf.nn.gelu(x, approximate=True), **CLOSE
    )
    assert np.allclose(compute("softmax", x=x, axis=1), tf.nn.softmax(x, 1), **CLOSE)
    assert compute("clamped_relu", x=np.float32([-2, 1, 9]), alpha=0.5, beta=3).tolist() == [-1, 1, 3]
    assert compute("linear_activation", x=np.float32([2]), alpha=3, beta=1).tolist() == [7]
    assert compute("clip", x=np.float32([-9, 1, 9]), alpha=-1, beta=2).tolist() == [-1, 1, 2]
    approximate = compute("gelu", x=x, mode="SIGMOID_APPROXIMATION")
    assert np.allclose(approximate, x * special.expit(1.702 * x), **CLOSE)


def test_arithmetic_broadcasts_and_keeps_integers_whole():
    x, y = normal(2, 3, 4), normal(3, 1)
    assert np.array_equal(compute("add", x=x, y=y), x + y)
    assert np.array_equal(compute("real_div", x=x, y=y), x / y)
    assert compute("real_div", x=np.int32(7), y=np.int32(2)) == 3
    assert compute("floor_div", x=np.int32(-7), y=np.int32(2)) == -4
    assert compute("mod", x=np.int32(-7), y=np.int32(4)) == 1
    assert compute(
        "select", cond=np.array([True, False]), a=np.int32([1, 2]), b=np.int32([3, 4])
    ).tolist() == [1, 4]
    assert compute("less", x=x, y=x + 1).all()


ARITHMETIC = {
    "add": "add", "sub": "subtract", "mul": "multiply", "real_div": "divide", "pow": "pow", "maximum": "maximum",
    "minimum": "minimum", "floor_div": "math.floordiv", "mod": "math.floormod",
}  # fmt: skip
COMPARISONS = {
    "equal": "equal", "not_equal": "not_equal", "greater": "greater", "greater_equal": "greater_equal",
    "less": "less", "less_equal": "less_equal",
}  # fmt: skip


def tensorflow(name):
    import tensorflow as tf

    return functools.reduce(getattr, name.split("."), tf)


@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_of_two(name):
    x, y = np.abs(normal(2, 3, 4)) + np.float32(0.1), normal(3, 1)
    # Some sums in TensorFlow's kernels and numpy's differ in the last place.
    assert np.allclose(compute(name, x=x, y=y), tensorflow(ARITHMETIC[name])(x, y), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons(name):
    x, y = np.float32([[0, 1, 2]]), np.float32([[0], [1], [2]])
    assert np.array_equal(compute(name, x=x, y=y), tensorflow(COMPARISONS[name])(x, y))


def test_logic():
    x, y = np.array([False, False, True, True]), np.array([False, True, False, True])
    assert compute("logical_and", x=x, y=y).tolist() == [False, False, False, True]
    assert compute("logical_or", x=x, y=y).tolist() == [False, True, True, True]
    assert compute("logical_not", x=x).tolist() == [True, True, False, False]


def test_normalisation():
    import tensorflow as tf

    x, gamma, beta, mean = normal(2, 3, 5, 4), normal(3), normal(3), normal(3)
    variance = np.abs(normal(3)) + np.float32(0.1)
    expected = tf.nn.batch_normalization(last(x), mean, variance, beta, gamma, 1e-3)
    found = compute("batch_norm", x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=1e-3)
    assert np.allclose(found, first(expected), **CLOSE)
    plain = compute("batch_norm", x=x, mean=mean, variance=variance, epsilon=1e-3)
    expected = tf.nn.batch_normalization(last(x), mean, variance, None, None, 1e-3)
    assert np.allclose(plain, first(expected), **CLOSE)
    layer = tf.keras.layers.LayerNormalization(axis=(1, 3), epsilon=1e-3)
    scales = [normal(3, 4), normal(3, 4)]
    layer.build(x.shape)
    layer.set_weights(scales)
    found = compute("layer_norm", x=x, axes=(1, -1), gamma=scales[0], beta=scales[1], epsilon=1e-3)
    assert np.allclose(found, layer(x), **CLOSE)
    group = tf.keras.layers.GroupNormalization(groups=-1, epsilon=1e-3)
    group.build((2, 5, 4, 3))
    group.set_weights([gamma, beta])
    found = compute("instance_norm", x=x, gamma=gamma, beta=beta, epsilon=1e-3)
    assert np.allclose(found, first(group(last(x))), **CLOSE)
    assert np.allclose(compute("l2_norm", x=x, epsilon=1e-6), tf.nn.l2_normalize(x, (1, 2, 3)), **CLOSE)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("reduce_mean", np.mean), ("reduce_sum", np.sum), ("reduce_prod", np.prod), ("reduce_max", np.max),
        ("reduce_min", np.min), ("reduce_sum_square", lambda x, **how: (x**2).sum(**how)),
        ("reduce_l2_norm", lambda x, **how: (x**2).sum(**how) ** 0.5), ("reduce_log_sum_exp", special.logsumexp),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("axes", "keep"), [((2, -1), False), ((1,), True), (None, False)])
def test_reductions(name, function, axes, keep):
    x = normal(2, 3, 4, 5)
    expected = function(x.astype(np.float64), axis=axes, keepdims=keep)
    found = compute(name, x=x, axes=axes, keep_dims=keep)
    assert found.shape == np.shape(expected)
    assert np.allclose(found, expected, **CLOSE)


def test_matrix_products():
    x, weight, bias = normal(2, 5, 4), normal(3, 4), normal(3)
    expected = np.einsum("bij,oj->bio", x.astype(np.float64), weight) + bias
    assert np.allclose(compute("linear", x=x, weight=weight, bias=bias), expected, **CLOSE)
    y = normal(2, 4, 6)
    expected = np.einsum("bij,bjk->bik", x.astype(np.float64), y)
    assert np.allclose(compute("matmul", x=x, y=y), expected, **CLOSE)
    turned = {"x": np.swapaxes(x, 1, 2), "y": np.swapaxes(y, 1, 2), "transpose_x": True, "transpose_y": True}
    assert np.allclose(compute("matmul", **turned), expected, **CLOSE)


def test_shapes():
    import tensorflow as tf

    x = normal(2, 3, 4)
    assert compute("reshape", x=x, shape=(0, -1)).shape == (2, 12)
    assert np.array_equal(compute("transpose", x=x, perm=(2, 0, 1)), tf.transpose(x, (2, 0, 1)))
    assert np.array_equal(compute("concat", values=(x, x * 2), axis=1), tf.concat([x, x * 2], 1))
    woven = compute("concat", values=(np.int32([1, 2]), np.int32([5, 6])), axis=0, interleave=True)
    assert woven.tolist() == [1, 5, 2, 6]
    assert np.array_equal(compute("stack", values=(x, x * 2), axis=1), tf.stack([x, x * 2], 1))
    for found, expected in zip(
        compute("split", x=x, axis=2, split_sizes=(1, 3)), tf.split(x, (1, 3), 2), strict=True
    ):
        assert np.array_equal(found, expected)
    assert [part.shape for part in compute("split", x=x, axis=0, num_splits=2)] == [(1, 3, 4)] * 2
    assert compute("expand_dims", x=x, axes=(0, -1)).shape == (1, 2, 3, 4, 1)
    assert compute("squeeze", x=x[None, ..., None], axes=(0, -1)).shape == (2, 3, 4)
    assert compute("squeeze", x=x[None]).shape == (2, 3, 4)
    assert np.array_equal(compute("tile", x=x, reps=(1, 2, 3)), tf.tile(x, (1, 2, 3)))
    assert np.array_equal(
        compute("gather", x=x, indices=np.int32([2, 0]), axis=1), tf.gather(x, [2, 0], axis=1)
    )
    assert compute("shape", x=x).tolist() == [2, 3, 4]
    doubled = compute("upsample_nearest_neighbor", x=x, scale_factor_height=2, scale_factor_width=3)
    assert np.array_equal(doubled, np.kron(x, np.ones((2, 3), np.float32)))


@pytest.mark.parametrize(("mode", "theirs"), [("constant", "CONSTANT"), ("reflect", "REFLECT")])
def test_padding(mode, theirs):
    import tensorflow as tf

    x = normal(2, 3, 4)
    expected = tf.pad(x, [(0, 0), (1, 2), (0, 1)], theirs, constant_values=7 if mode == "constant" else 0)
    assert np.array_equal(
        compute("pad", x=x, pad=(1, 2, 0, 1), mode=mode, constant_val=np.float32(7)), expected
    )
    edge = compute("pad", x=np.int32([1, 2]), pad=(1, 2), mode="replicate")
    assert edge.tolist() == [1, 1, 2, 2, 2]


def test_slices():
    import tensorflow as tf

    x = normal(4, 5, 6)
    masks = {
        "begin_mask": (False, True, False),
        "end_mask": (False, False, True),
        "squeeze_mask": (True, False, False),
    }
    found = compute("slice_by_index", x=x, begin=(-2, 3, 1), end=(0, 4, 0), stride=(1, 2, 2), **masks)
    expected = tf.strided_slice(
        x, (-2, 3, 1), (0, 4, 0), (1, 2, 2), begin_mask=0b010, end_mask=0b100, shrink_axis_mask=0b001
    )
    assert np.array_equal(found, expected)
    found = compute("slice_by_size", x=x, begin=(1, 0, 2), size=(2, -1, 3))
    assert np.array_equal(found, tf.slice(x, (1, 0, 2), (2, -1, 3)))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantization(dtype):
    import tensorflow as tf

    x, zero = normal(2, 3, 50) * 3, np.array(5, dtype)
    how = {"scale": np.float32(0.05), "zero_point": zero}
    stored = compute("quantize", input=x, output_dtype=dtype, **how)
    limits = np.iinfo(dtype)
    expected = tf.quantization.fake_quant_with_min_max_args(
        x, *((int(limit) - 5) * 0.05 for limit in (limits.min, limits.max))
    )
    assert stored.dtype == dtype
    assert np.allclose(compute("dequantize", input=stored, **how), expected, atol=1e-5)


def test_quantization_by_channel_and_halves_to_even():
    halves = np.float32([[0.5, 1.5, 2.5], [0.5, 1.5, 2.5]])
    scale, zero = np.float32([1, 0.5]), np.int8([0, 1])
    how = {"scale": scale, "zero_point": zero, "axis": 0}
    stored = compute("quantize", input=halves, output_dtype="int8", **how)
    assert stored.tolist() == [[0, 2, 2], [2, 4, 6]]
    assert compute("dequantize", input=stored, **how).tolist() == [[0, 2, 2], [0.5, 1.5, 2.5]]


def test_casts():
    assert compute("cast", x=np.float32([-1.7, 2.9]), dtype="int32").tolist() == [-1, 2]
    assert compute("cast", x=np.uint8([7]), dtype="fp16").dtype == np.float32
    assert compute("cast", x=np.float32([0, 2]), dtype="bool").tolist() == [False, True]


def test_a_classifier_names_its_best_class():
    labels, same = compute(
        "classify", probabilities=np.float32([[0.1, 0.9], [0.8, 0.2]]), classes=np.array(["a", "b"])
    )
    assert labels.tolist() == ["b", "a"]
    assert same.tolist() == np.float32([[0.1, 0.9], [0.8, 0.2]]).tolist()
    assert compute("reduce_argmax", x=same, axis=1, keep_dims=True).tolist() == [[1], [0]]


def test_no_operation_is_without_a_test():
    written = "".join(
        (Path(__file__).parent / f"test_mil_{what}.py").read_text() for what in ("ops", "constants")
    )
    untested = [name for name in operations() if f'"{name.removeprefix("constexpr_")}"' not in written]
    assert untested == []
