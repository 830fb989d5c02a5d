#!/usr/bin/env bash
# Make an environment of its own for packages that can't live beside the workbench's.
# Usage: environment.sh FOLDER PYTHON PACKAGE...
set -euo pipefail
folder=$1
python=$2
shift 2
rm -rf "$folder"
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
printf %s "$*" >"$folder/.complete"
