#!/usr/bin/env bash
# Make an environment with vLLM in a folder: the CPU build, or on a machine with a GPU vLLM itself.
# Usage: environment.sh FOLDER [PYTHON]. Does nothing where the folder is complete.
set -euo pipefail
folder=$1
python=${2:-$(command -v python3.11 || command -v python3)}
here=$(cd "$(dirname "$0")" && pwd)
torch="torch==2.13.0"
gpu_vllm="vllm==0.32.0"

if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi -L >/dev/null 2>&1; then
    kind=gpu
    wanted="gpu $gpu_vllm"
else
    kind=cpu
    wanted="cpu $torch $(cksum <"$here/requirements-cpu.txt")"
fi
if [ "$(cat "$folder/.complete" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

echo "Making $folder with vLLM ($kind build); this takes some minutes."
rm -rf "$folder"
"$python" -m venv "$folder"
install="$folder/bin/python -m pip install --quiet --disable-pip-version-check --no-compile"
if [ "$kind" = gpu ]; then
    $install "$gpu_vllm"
else
    # --no-deps keeps out torchvision and its like, which are not needed and break beside this torch.
    $install "$torch"
    $install --no-deps --require-hashes -r "$here/requirements-cpu.txt"
fi
echo "$wanted" >"$folder/.complete"
