"""The arithmetic of int8, and networks in which it is simulated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edgefer.errors import ConversionError, InputError
from edgefer.quantization import Affine, Range, affine, rounded, rounded_weights
from tests.networks import numbered
from tests.unit.quantizable import mobile_network, noise, separable_network

ends = st.tuples(st.floats(-1e4, 1e4), st.floats(0, 1e4)).map(lambda pair: Range(pair[0], pair[0] + pair[1]))
kernels = arrays.arrays(
    np.float32,
    arrays.array_shapes(min_dims=4, max_dims=4, max_side=4),
    elements=st.floats(-100, 100, width=32),
)


@given(ends, arrays.arrays(np.float64, 20, elements=st.floats(0, 1)))
def test_values_inside_a_range_are_at_most_half_a_step_off(kept, shares):
    to = affine(kept)
    low, high = min(kept.low, 0), max(kept.high, 0)
    values = low + shares * (high - low)
    # The zero point is rounded: at either end up to half a step more is clipped. 1e-9 is float64 rounding.
    inner = (values >= (-128 - to.zero_point) * to.scale) & (values <= (127 - to.zero_point) * to.scale)
    error = np.abs(rounded(values, to) - values)
    assert np.all(error[inner] <= to.scale / 2 * (1 + 1e-9))
    assert np.all(error <= to.scale * (1 + 1e-9))


@given(ends)
def test_zero_is_exact(kept):
    assert rounded(np.zeros(3), affine(kept)).tolist() == [0, 0, 0]


@given(ends, arrays.arrays(np.float64, 20, elements=st.floats(-2e4, 2e4)))
def test_rounding_twice_is_rounding_once(kept, values):
    once = rounded(values, affine(kept))
    assert np.array_equal(rounded(once, affine(kept)), once)


def test_the_specifications_example():
    # 0..255 with 256 codes: scale 1, code -128 stands for 0.
    assert affine(Range(0, 255)) == Affine(1.0, -128)
    assert rounded(np.array([3.4, 300.0, -7.0]), Affine(1.0, -128)).tolist() == [3, 255, 0]


@given(kernels, st.sampled_from([(3,), (2, 3), (2,)]))
def test_weights_are_half_a_step_of_their_channel_off_and_keep_its_largest(kernel, channels):
    coarse = rounded_weights(kernel, channels)
    others = tuple(axis for axis in range(4) if axis not in channels)
    largest = np.abs(kernel).max(axis=others, keepdims=True)
    # 1e-6 is the relative rounding of the float32 results.
    assert np.all(np.abs(coarse - kernel) <= largest / 127 / 2 * (1 + 1e-6) + largest * 1e-6)
    np.testing.assert_allclose(np.abs(coarse).max(axis=others, keepdims=True), largest, rtol=1e-6)
    np.testing.assert_allclose(rounded_weights(coarse, channels), coarse, rtol=1e-6)


keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def model():
    return separable_network()


def test_the_inference_graph_computes_the_same_with_one_operation_a_layer(model):
    from edgefer.compression.inference_graph import inference_graph

    network = inference_graph(model)
    kinds = {type(layer).__name__ for layer in network.layers}
    assert not kinds & {"BatchNormalization", "SeparableConv2D", "Functional"}
    # Float32 sums of up to a hundred products in another order.
    np.testing.assert_allclose(network(noise(9)), model(noise(9)), atol=2e-6)


def test_the_inference_graph_has_weights_of_its_own(model):
    from edgefer.compression.inference_graph import inference_graph

    before = [np.array(weight) for weight in model.get_weights()]
    network = inference_graph(model)
    for weight in network.weights:
        weight.assign(weight * 2)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_shared_layer_is_refused():
    from edgefer.compression.inference_graph import inference_graph

    shared = keras.layers.Conv2D(3, 3, padding="same", name="twice")
    image = keras.Input((8, 8, 3))
    value = keras.layers.GlobalAveragePooling2D()(shared(shared(image)))
    with pytest.raises(InputError, match="'twice' is called more than once"):
        inference_graph(keras.Model(image, keras.layers.Softmax()(value)))


def headed(*layers):
    """The layers one after the other on images of 12x12, and a head."""
    head = (keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax"))
    return keras.Sequential([keras.Input((12, 12, 3)), *layers, *head])


def test_an_adapted_normalization_does_in_the_inference_graph_what_it_did():
    from edgefer.compression.inference_graph import inference_graph

    front = keras.layers.Normalization()
    front.adapt(noise(32) * 60 + 120)
    model = headed(front, keras.layers.Conv2D(4, 3, activation="relu"))
    floats = noise(9, seed=1) * 60 + 120
    np.testing.assert_allclose(inference_graph(model)(floats), model(floats), atol=2e-6)


@pytest.mark.parametrize("name", ["relu", "relu6"])
def test_a_relu_called_as_an_operation_is_part_of_the_convolution_before_it(name):
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph

    image = keras.Input((12, 12, 3))
    value = getattr(keras.ops, name)(keras.layers.Conv2D(4, 3, name="conv")(image))
    value = keras.layers.GlobalAveragePooling2D(name="pool")(value)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax", name="head")(value))
    names = simulate(inference_graph(model), noise(8)).names
    assert names[:2] == ("conv", "pool")


@keras.saving.register_keras_serializable("tests")
class Forgetful(keras.layers.Layer):
    """Multiplies by a factor that neither its configuration nor its weights tell."""

    factor = 1.0

    def call(self, value):
        return value * self.factor


def test_an_inference_graph_that_answers_something_else_is_refused():
    from edgefer.compression.inference_graph import inference_graph

    layer = Forgetful()
    layer.factor = 20.0
    with pytest.raises(ConversionError, match="batch norms folded its outputs differ by"):
        inference_graph(headed(layer, keras.layers.Conv2D(4, 3)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_may_differ_by_its_own_rounding(policy):
    from edgefer.compression.inference_graph import inference_graph

    keras.config.set_dtype_policy(policy)
    try:
        model = mobile_network()
    finally:
        keras.config.set_dtype_policy("float32")
    assert inference_graph(model).count_params() > 0


def test_a_layer_with_code_that_is_not_trusted_is_named():
    from edgefer.compression.inference_graph import inference_graph

    model = headed(keras.layers.Lambda(lambda value: value * 2, name="code"), keras.layers.Conv2D(4, 3))
    with pytest.raises(ConversionError, match=r"layer 'code' \(Lambda\) cannot be made again"):
        inference_graph(model)


def test_of_two_layers_with_one_name_the_second_gets_a_number():
    from edgefer.compression.inference_graph import inference_graph

    layers = keras.layers
    inner = [layers.Conv2D(4, 3, activation="relu", name="twin"), layers.Activation("relu", name="twin_relu")]
    model = headed(
        keras.Sequential([keras.Input((12, 12, 3)), *inner]), layers.SeparableConv2D(4, 3, name="twin")
    )
    network = inference_graph(model)
    names = [layer.name for layer in network.layers][1:6]
    assert names == ["twin", "twin_relu", "twin_relu_2", "twin_2_depthwise", "twin_2"]
    np.testing.assert_allclose(network(noise(9)), model(noise(9)), atol=2e-6)


@keras.saving.register_keras_serializable("tests")
class Steep:
    """An activation that has no name."""

    def __call__(self, value):
        return keras.ops.tanh(value * 3)

    def get_config(self):
        return {}


@pytest.mark.parametrize("activation", [keras.layers.LeakyReLU(0.1, name="leaky"), Steep()])
def test_activations_that_are_objects_stand_apart_too(activation):
    from edgefer.compression.inference_graph import inference_graph

    model = headed(keras.layers.Conv2D(4, 3, activation=activation, name="first"))
    network = inference_graph(model)
    assert network.get_layer("first").activation is keras.activations.linear
    assert network.layers[2].name in ("first_leaky", "first_Steep")
    np.testing.assert_allclose(network(noise(9)), model(noise(9)), atol=2e-6)


def test_an_activation_that_is_called_twice_is_two_units():
    swish = keras.layers.Activation("swish", name="swish")
    model = headed(keras.layers.Conv2D(4, 3), swish, keras.layers.Conv2D(4, 3), swish)
    simulation = simulation_of(model)
    assert {"swish", "swish_2"} < set(simulation.names)
    simulation.switch(("swish_2",))
    assert [unit.name for unit in simulation.units if float(unit.rounding.enabled)] == ["swish_2"]


def simulation_of(model, rows=32):
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph

    return simulate(inference_graph(model), noise(rows))


def test_switched_off_a_simulation_computes_what_the_network_does(model):
    simulation = simulation_of(model)
    exact = np.asarray(model(noise(70, seed=1)))
    np.testing.assert_allclose(simulation.outputs(noise(70, seed=1)), exact, atol=2e-6)
    simulation.switch(simulation.names)
    assert np.abs(simulation.outputs(noise(70, seed=1)) - exact).max() > 1e-4
    simulation.switch(())
    np.testing.assert_allclose(simulation.outputs(noise(70, seed=1)), exact, atol=2e-6)


def test_operations_of_a_loaded_network_keep_their_names_and_may_multiply_by_a_number():
    model = numbered()
    simulation = simulation_of(model)
    assert {"multiply", "mean"} < set(simulation.names)
    np.testing.assert_allclose(simulation.outputs(noise(9)), model(noise(9)), atol=2e-6)


def test_units_are_those_of_int8_kernels(model):
    simulation = simulation_of(model)
    norms_and_relus = ("batch_normalization", "re_lu", "dropout", "relu")
    assert not [
        name for name in simulation.names if name.startswith(norms_and_relus) or name.endswith("relu")
    ]
    # 1 + 3 in the body, two separable ones of two each, 1, two dense ones.
    assert len(simulation.weighted) == 11
    assert len(set(simulation.names)) == len(simulation.names)


def test_one_unit_alone_rounds_its_weights_and_its_output_only():
    simulation = simulation_of(mobile_network())
    simulation.switch(("project_1",))
    for unit in simulation.weighted:
        rounded_now = not np.array_equal(np.asarray(unit.layer.kernel), unit.exact)
        assert rounded_now == (unit.name == "project_1")
    enabled = {unit.name: float(unit.rounding.enabled) for unit in simulation.units}
    assert {name for name, on in enabled.items() if on} == {"project_1"}


def test_the_whole_simulation_is_near_what_the_int8_file_answers(tmp_path):
    from edgefer.backbones.base import Backbone
    from edgefer.compression.fake_quant import simulate
    from edgefer.compression.inference_graph import inference_graph
    from edgefer.formats.base import Calibration
    from edgefer.formats.export import export_backbone
    from edgefer.formats.tflite import FORMATS
    from edgefer.preprocessing import to_floats
    from edgefer.spec import InputSpec, LabelSet
    from tests.networks import spread

    spec = InputSpec(height=12, width=12, channels=3, color="rgb", range=(-1.0, 1.0))
    pixels = np.random.default_rng(4).integers(0, 256, (64, 12, 12, 3)).astype(np.uint8)
    floats = to_floats(pixels, spec)
    model = spread(mobile_network(cap=6.0), floats)
    simulation = simulate(inference_graph(model), floats)
    exact = simulation.outputs(floats)
    simulation.switch(simulation.names)
    simulated = simulation.outputs(floats)

    labels = LabelSet(source="three", names=("a", "b", "c"))
    export = export_backbone(Backbone(model, spec, labels, (), "m", ""), "float", tmp_path)
    int8 = next(form for form in FORMATS if form.precision == "int8")
    payload = int8.export(export, Calibration(pixels, {}), "int8").payload
    file = answers(payload.read_bytes(), floats)
    # The file rounds its input and intermediate sums too. Its error is the yardstick: the simulation's is of the
    # same size, and the two agree better with each other than either's largest error.
    real, ours = np.abs(file - exact).mean(), np.abs(simulated - exact).mean()
    assert real / 2 < ours < real * 2
    assert np.abs(file - simulated).mean() < real * 1.5


def answers(content, floats):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (image,), (output,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for row in range(len(floats)):
        scale, zero = image["quantization"]
        codes = np.clip(np.round(floats[row : row + 1] / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(image["index"], codes)
        interpreter.invoke()
        scale, zero = output["quantization"]
        found.append((interpreter.get_tensor(output["index"])[0].astype(np.float32) - zero) * scale)
    return np.array(found)
