#!/bin/sh
# The SSH path against a whole arm64 virtual machine, with the shipped student; the data's folder is in EDGEFER_DATA.
cd "$(dirname "$0")/.." && exec .venv/bin/python benchmarks/pi_vm.py edgefer/zoo/student-micro/student-micro-int8.tflite "$@"
