"""Whole programs from packages on disk, built with coremltools' own builder."""

from __future__ import annotations

import gc
import shutil
import warnings
from contextlib import contextmanager
from itertools import product

import numpy as np
import pytest

from edgefer.embedding import MLMODEL
from edgefer.errors import InputError, TargetUnavailableError
from edgefer.runtimes.mil.package import describe, open_package

RNG = np.random.default_rng(1)
FACES = RNG.integers(0, 256, (5, 3, 6, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """``build(function, *shapes, half=False, inputs=None)``: the function's MIL program as a package on disk."""
    import coremltools as ct
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - its users' own name for it

    folder = tmp_path_factory.mktemp("programs")

    def make(function, *shapes, half=False, target=ct.target.iOS17, **how):
        specs = [mb.TensorSpec(shape=shape) for shape in shapes]
        program = mb.program(input_specs=specs, opset_version=target)(function)
        precision = ct.precision.FLOAT16 if half else ct.precision.FLOAT32
        path = folder / f"{len(list(folder.iterdir()))}.mlpackage"
        options = {
            "compute_precision": precision,
            "minimum_deployment_target": target,
            "skip_model_load": True,
        }
        with _without_its_leftovers():
            ct.convert(program, convert_to="mlprogram", **options, **how).save(str(path))
        return path

    return make


@contextmanager
def _without_its_leftovers():
    """coremltools leaves temporary folders to the garbage collector, which warns; let it do so here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.fixture(scope="module")
def mb():
    from coremltools.converters.mil import Builder

    return Builder


def run(path, **feed):
    package = open_package(path)
    (result,) = package.executor.run(feed).values()
    return result


@pytest.mark.parametrize("half", [False, True])
def test_scale_and_bias_of_an_image_input_are_part_of_its_program(build, mb, half):
    import coremltools as ct

    image = ct.ImageType(
        name="x", shape=(1, 3, 6, 6), scale=1 / 127.5, bias=[-1, -0.5, 0.25], color_layout=ct.colorlayout.BGR
    )
    path = build(lambda x: mb.square(x=x), (1, 3, 6, 6), half=half, inputs=[image])
    package = open_package(path)
    assert (package.input.kind, package.input.color, package.input.size) == ("image", "BGR", (6, 6))
    expected = (FACES / 127.5 + np.float32([-1, -0.5, 0.25]).reshape(3, 1, 1)) ** 2
    # Of four roundings to 11 bits (scale, product, sum, square) the largest are relative to values up to nine.
    assert np.allclose(run(path, x=FACES), expected, rtol=3e-3 if half else 1e-5, atol=3e-3 if half else 1e-6)
    assert package.executor.precision == ("float16 rounding" if half else "float32")


def test_rows_run_together_where_the_program_keeps_them_apart(build, mb):
    def network(x):
        y = mb.reshape(x=x, shape=(1, 9, 12))
        y = mb.softmax(x=mb.transpose(x=y, perm=(0, 2, 1)), axis=-1)
        first = mb.slice_by_index(x=y, begin=(0, 2, 0), end=(1, 8, 9))
        second = mb.slice_by_size(x=y, begin=(0, 0, 0), size=(1, 6, 9))
        return mb.reduce_mean(x=mb.concat(values=(first, second), axis=2), axes=(1, 2), keep_dims=False)

    path = build(network, (1, 3, 6, 6))
    package = open_package(path)
    assert package.executor.batches
    found = run(path, x=FACES)
    y = np.swapaxes(FACES.reshape(5, 9, 12), 1, 2)
    odds = np.exp(y - y.max(-1, keepdims=True))
    y = odds / odds.sum(-1, keepdims=True)
    assert np.allclose(found, np.concatenate([y[:, 2:8], y[:, :6]], 2).mean((1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(lambda mb, x: mb.reduce_sum(x=x, axes=(0, 3), keep_dims=True), id="sum over the batch"),
        pytest.param(lambda mb, x: mb.softmax(x=x, axis=-4), id="softmax over the batch"),
        pytest.param(lambda mb, x: mb.reduce_max(x=x, keep_dims=True), id="maximum of everything"),
        pytest.param(lambda mb, x: mb.transpose(x=x, perm=(1, 0, 2, 3)), id="batch moved"),
        pytest.param(lambda mb, x: mb.squeeze(x=x, axes=(0,)), id="batch dropped"),
        pytest.param(lambda mb, x: mb.reshape(x=x, shape=(4, 9, 3)), id="batch spread"),
    ],
)
def test_rows_that_would_meet_run_one_by_one(build, mb, network):
    path = build(lambda x: network(mb, x), (1, 3, 6, 6))
    package = open_package(path)
    assert not package.executor.batches
    each = [run(path, x=FACES[row : row + 1]) for row in range(5)]
    assert np.array_equal(run(path, x=FACES), np.concatenate(each))


def test_two_inputs_an_open_batch_and_constants_as_results(build, mb):
    import coremltools as ct

    batch = ct.RangeDim(1, 64, default=2)
    inputs = [ct.TensorType(name=name, shape=(batch, 4)) for name in "xy"]
    symbols = [(mb_symbol(), 4)] * 2
    path = build(lambda x, y: mb.add(x=mb.mul(x=x, y=y), y=np.float32(1)), *symbols, inputs=inputs)
    x, y = RNG.random((2, 70, 4), np.float32)
    assert np.allclose(run(path, x=x, y=y), x * y + 1)
    with pytest.raises(InputError, match=r"the input y of shape \(None, 4\) is missing"):
        run(path, x=x)
    with pytest.raises(InputError, match=r"has shape \(70, 3\)"):
        run(path, x=x, y=y[:, :3])


def test_an_open_batch_may_be_spread_over_an_axis_and_gathered_again(build, mb):
    """As attention does it: tokens of all images become rows of one matrix."""
    import coremltools as ct

    def network(x):
        rows = mb.linear(x=mb.reshape(x=x, shape=(-1, 4)), weight=np.eye(4, dtype=np.float32) * 2)
        return mb.reduce_sum(x=mb.reshape(x=rows, shape=(-1, 3, 4)), axes=(1,))

    taken = ct.TensorType(name="x", shape=ct.EnumeratedShapes([(1, 3, 4), (8, 3, 4)], default=(1, 3, 4)))
    path = build(network, (mb_symbol(), 3, 4), inputs=[taken])
    x = RNG.random((5, 3, 4), np.float32)
    assert open_package(path).executor.batches
    assert np.allclose(run(path, x=x), 2 * x.sum(1))


def mb_symbol():
    from coremltools.converters.mil.mil import get_new_symbol

    return get_new_symbol()


def test_every_float16_result_is_rounded_once_its_sum_is_done(build, mb):
    weight = RNG.normal(size=(7, 400)).astype(np.float32)
    path = build(lambda x: mb.linear(x=x, weight=weight), (1, 400), half=True)
    x = RNG.normal(size=(3, 400)).astype(np.float32)
    halves = [value.astype(np.float16).astype(np.float64) for value in (x, weight)]
    expected = (halves[0] @ halves[1].T).astype(np.float16)
    found = run(path, x=x)
    # Sums in float32 and in double precision may fall to two sides of a half.
    step = np.spacing(np.abs(expected)).astype(np.float32)
    assert np.all(np.abs(found - expected.astype(np.float32)) <= step)
    assert np.mean(found == expected) > 0.9
    assert np.array_equal(found, found.astype(np.float16))


def test_an_observer_sees_inputs_and_results_in_order_with_all_rows(build, mb):
    path = build(
        lambda x: mb.relu(x=mb.add(x=x, y=np.float32(-100), name="shifted"), name="kept"), (1, 3, 6, 6)
    )
    seen = {}
    open_package(path).executor.run(
        {"x": FACES}, observe=lambda name, value: seen.setdefault(name, []).append(value)
    )
    assert list(seen) == ["x", "shifted", "kept"]
    assert np.array_equal(np.concatenate(seen["shifted"]), FACES - 100)


def test_an_unknown_operation_is_named_with_its_place_and_what_to_do(build, mb):
    path = build(lambda x: mb.cumsum(x=x, axis=1, name="running_total"), (1, 3, 6, 6))
    with pytest.raises(TargetUnavailableError) as caught:
        open_package(path)
    assert str(caught.value) == (
        f"{path}: operation cumsum -> running_total: the reference executor does not know cumsum; "
        "run the package on a Mac, or report the network so that the operation is added"
    )


def test_a_package_is_described_without_its_weights(build, mb, tmp_path):
    weight = RNG.normal(size=(9, 108)).astype(np.float32)
    path = tmp_path / "copy.mlpackage"
    shutil.copytree(build(lambda x: mb.linear(x=x, weight=weight), (1, 108)), path)
    (path / MLMODEL).with_name("weights").joinpath("weight.bin").unlink()
    model = describe(path)
    assert [(feature.name, feature.kind, feature.shapes) for feature in model.inputs] == [
        ("x", "array", ((1, 108),))
    ]
    with pytest.raises(InputError, match=r"weight\.bin: the weight file cannot be read"):
        open_package(path)


def test_damage_of_the_program_itself_is_a_typed_error(build, mb, tmp_path):
    path = tmp_path / "copy.mlpackage"
    kernel = np.ones((4, 2), np.float32)
    shutil.copytree(build(lambda x: mb.softmax(x=mb.matmul(x=x, y=kernel), axis=1), (1, 4)), path)
    whole = (path / MLMODEL).read_bytes()
    (path / MLMODEL).write_bytes(whole[:-3])
    with pytest.raises(InputError, match="damaged"):
        open_package(path)
    (path / MLMODEL).write_bytes(b"")
    with pytest.raises(InputError, match="it is no ML Program"):
        open_package(path)
    for place, mask in product(range(0, len(whole), 3), (0x01, 0x15, 0x80)):
        (path / MLMODEL).write_bytes(whole[:place] + bytes([whole[place] ^ mask]) + whole[place + 1 :])
        try:
            open_package(path).executor.run({"x": np.ones((1, 4), np.float32)})
        except (InputError, TargetUnavailableError):  # damage may make another operation of one
            continue


BOTH, NEW = ("iOS16", "iOS18"), ("iOS18",)
KINDS = {
    "int8": BOTH, "int4 blocks": NEW, "palette": BOTH, "grouped palette": NEW, "sparse": BOTH, "sparse palette": NEW,
}  # fmt: skip


@pytest.mark.parametrize(("kind", "target"), [(kind, each) for kind, them in KINDS.items() for each in them])
def test_compressed_weights_of_both_generations(build, mb, kind, target):
    """Against coremltools' own decompression, through the saved file of each."""
    import coremltools as ct
    import coremltools.optimize.coreml as cto

    weight = RNG.normal(size=(64, 64)).astype(np.float32)
    path = build(lambda x: mb.linear(x=x, weight=weight), (1, 64), target=getattr(ct.target, target))
    small, large = path.with_suffix(".small.mlpackage"), path.with_suffix(".large.mlpackage")
    with _without_its_leftovers():
        model = ct.models.MLModel(str(path), skip_model_load=True)
        for config, apply in _compressions(cto, kind):
            model = apply(model, cto.OptimizationConfig(config))
        model.save(str(small))
        cto.decompress_weights(model).save(str(large))
        del model
    x = np.eye(64, dtype=np.float32)
    assert any(one.type.startswith("constexpr") for one in describe(small).operations)
    assert not any(one.type.startswith("constexpr") for one in describe(large).operations)
    assert np.allclose(run(small, x=x), run(large, x=x), atol=1e-6)
    assert 0 < np.abs(run(small, x=x).T - weight).max() < 3


def _compressions(cto, kind):
    """Configurations and what applies them; joint ones come in two."""
    quantize, palettize, prune = cto.linear_quantize_weights, cto.palettize_weights, cto.prune_weights
    palette = cto.OpPalettizerConfig(mode="uniform", nbits=4, weight_threshold=1)
    return {
        "int8": [(cto.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=1), quantize)],
        "int4 blocks": [
            (
                cto.OpLinearQuantizerConfig(
                    mode="linear", dtype="int4", granularity="per_block", block_size=16, weight_threshold=1
                ),
                quantize,
            )
        ],
        "palette": [(palette, palettize)],
        "grouped palette": [
            (
                cto.OpPalettizerConfig(
                    mode="uniform",
                    nbits=3,
                    granularity="per_grouped_channel",
                    group_size=16,
                    weight_threshold=1,
                ),
                palettize,
            )
        ],
        "sparse": [(cto.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=1), prune)],
        "sparse palette": [
            (cto.OpMagnitudePrunerConfig(target_sparsity=0.5, weight_threshold=1), prune),
            (palette, lambda model, config: palettize(model, config, joint_compression=True)),
        ],
    }[kind]
