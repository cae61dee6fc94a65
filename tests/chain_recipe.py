"""A recipe of a network of seconds whose chain of stages is distilled, cut, rounded and converted, in parts."""

RECIPE = """\
id = "distil"
title = "a small student"

[source]
document = "none"

[data]
labels = "ferplus-9"

[input]
height = 24
width = 24
channels = 1
range = [0.0, 1.0]

[backbone]
family = "s1-cnn"

[training]
epochs = 1
batch_size = 256
learning_rate = 1e-3

[[stages]]
stage = "distill"
student = { family = "s1-cnn", options = { filters = 4, dense = 16 } }
input = { height = 24, width = 24, channels = 1, range = [0.0, 1.0] }

[stages.tuning.training]
epochs = 1
batch_size = 256
learning_rate = 1e-3
"""

MORE_STAGES = """
[[stages]]
stage = "channels"
macs = 0.7
multiple = 1
rows = 64

[[stages]]
stage = "qat"

[stages.tuning.training]
epochs = 1
batch_size = 256
learning_rate = 1e-4
"""

ENDING = """
[convert]
formats = ["tflite-int8", "onnx-fp32"]
calibration = 50
calibration_method = "mse"
"""
