"""A machine that its Python takes for a Mac: an environment of its own, with Core ML stood in for.

What the stand-in answers comes from the reference executor. All but the CPU alone is slower by a pause, as a tiny
network can be on the Neural Engine.
"""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path

PAUSE_SECONDS = 0.003
SITECUSTOMIZE = """
import os, platform
platform.system = lambda: "Darwin"
platform.machine = lambda: "arm64"
platform.mac_ver = lambda: ("15.1", ("", "", ""), "arm64")
os.environ["PATH"] = {tools!r} + os.pathsep + os.environ["PATH"]
"""
COREMLTOOLS = """
import enum
from coremltools import models
ComputeUnit = enum.Enum("ComputeUnit", ["ALL", "CPU_AND_NE", "CPU_AND_GPU", "CPU_ONLY"])
"""
MODELS = """
import time
from pathlib import Path

import numpy as np

class MLModel:
    def __init__(self, path, compute_units):
        from edgefer.runtimes.mil.package import open_package
        self._package = open_package(Path(path))
        self._pause = 0 if compute_units.name == "CPU_ONLY" else {pause}

    def get_compiled_model_path(self):
        return "/compiled.mlmodelc"

    def predict(self, given):
        time.sleep(self._pause)
        if isinstance(given, dict):
            return self._package.executor.run(given)
        pixels = np.stack([np.asarray(row["image"])[..., None] for row in given]).astype(np.float32)
        odds = self._package.executor.run(self._package.feed(pixels))["classLabel_probs"]
        return [{{"classLabel_probs": dict(zip(self._package.classes, map(float, row)))}} for row in odds]
"""
COMPUTE_PLAN = """
from types import SimpleNamespace as Plain

class MLNeuralEngineComputeDevice:
    pass

class MLComputePlan:
    @staticmethod
    def load_from_path(path, compute_units):
        softmax = Plain(outputs=[Plain(name="probabilities")], operator_name="softmax")
        program = Plain(functions={"main": Plain(block=Plain(operations=[softmax]))})
        device = MLNeuralEngineComputeDevice()
        return Plain(
            model_structure=Plain(program=program),
            get_compute_device_usage_for_mlprogram_operation=lambda _: Plain(
                preferred_compute_device=device, supported_compute_devices=[device]
            ),
            get_estimated_cost_for_mlprogram_operation=lambda _: Plain(weight=1.0),
        )
"""


def mac(folder: Path) -> Path:
    """Make it below ``folder``; its Python is returned."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    tools = folder / "tools"
    tools.mkdir()
    for name, said in (("pmset", "Now drawing from 'AC Power'"), ("sysctl", "Apple M3 Pro")):
        (tools / name).write_text(f'#!/bin/sh\necho "{said}"\n')
        (tools / name).chmod(0o755)
    site = next((folder / "lib").glob("python*/site-packages"))
    # Behind what stands here, all that the tests' own environment has.
    (site / "rest.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (site / "sitecustomize.py").write_text(SITECUSTOMIZE.format(tools=str(tools)))
    package = site / "coremltools" / "models"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text(COREMLTOOLS)
    (package / "__init__.py").write_text(MODELS.format(pause=PAUSE_SECONDS))
    (package / "compute_plan.py").write_text(COMPUTE_PLAN)
    return python
