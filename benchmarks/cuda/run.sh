#!/bin/sh
# One command on a machine with a CUDA card: every onnx file of a folder, at batch 1 to 512, under every setting there is.
#
#     benchmarks/cuda/run.sh FOLDER_OF_ARTIFACTS [FOLDER_FOR_RESULTS]
#
# FOLDER_OF_ARTIFACTS holds <name>-fp32.onnx, <name>-fp16.onnx and <name>-int8.onnx of each network. With EDGEFER_DATA
# set, F1 is measured too. The results are one RunRecord a file, the report with its tables, and environment.txt: what was installed.
# PYTHON names the interpreter (python3), EDGEFER_PIP further arguments for pip, e.g. --find-links of a folder of wheels.
set -eu

fail() {
    echo "benchmarks/cuda/run.sh: $1" >&2
    exit "$2"
}

[ $# -ge 1 ] || fail "say where the artifacts are: benchmarks/cuda/run.sh FOLDER_OF_ARTIFACTS [FOLDER_FOR_RESULTS]" 2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
artifacts=$1
results=${2:-cuda-results}
python=${PYTHON:-python3}

[ -d "$artifacts" ] || fail "$artifacts: no such folder" 2
set -- "$artifacts"/*-fp32.onnx
[ -e "$1" ] || fail "$artifacts: holds no <name>-fp32.onnx; make the files with: edgefer convert MODEL --to onnx-fp32,onnx-fp16,onnx-int8" 2
command -v "$python" >/dev/null || fail "$python: not found; set PYTHON to a Python 3.11 or newer" 2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "$python is older than 3.11" 2
command -v nvidia-smi >/dev/null || fail "needs an NVIDIA card with its driver: nvidia-smi is not there" 4
nvidia-smi --query-gpu=name,driver_version --format=csv,noheader >/dev/null || fail "needs an NVIDIA card: nvidia-smi finds none" 4

mkdir -p "$results"
[ -x "$results/venv/bin/python" ] || "$python" -m venv "$results/venv"
# shellcheck disable=SC2086 # several arguments
"$results/venv/bin/python" -m pip install --quiet ${EDGEFER_PIP:-} -r "$here/requirements.txt"
# shellcheck disable=SC2086
"$results/venv/bin/python" -m pip install --quiet --no-deps ${EDGEFER_PIP:-} "$root"
{
    nvidia-smi
    "$results/venv/bin/python" -m pip freeze
} >"$results/environment.txt"

# Networks go one by one: a run is interleaved, and its files have to share the card's memory.
for wide in "$artifacts"/*-fp32.onnx; do
    name=${wide%-fp32.onnx}
    set -- "$wide"
    for precision in fp16 int8; do
        if [ -e "$name-$precision.onnx" ]; then set -- "$@" "$name-$precision.onnx"; fi
    done
    "$results/venv/bin/edgefer" bench "$@" --target cuda --batch 1,2,4,8,16,32,64,128,256,512 --out "$results/records"
done
"$results/venv/bin/edgefer" report "$results/records" --out "$results/report"
echo "records in $results/records, tables in $results/report, what was installed in $results/environment.txt"
