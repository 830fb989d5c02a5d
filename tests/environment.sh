#!/usr/bin/env bash
# Make an environment of its own for packages that can't live beside the workbench's.
# Usage: environment.sh FOLDER PYTHON PACKAGE...
set -euo pipefail
folder=$1
python=$2
shift 2
rm -rf "$folder"
# The pip at hand does as well as one of its own, which takes longer to make than the packages.
"$python" -m venv --without-pip "$folder"
"$python" -m pip --python "$folder/bin/python" install --quiet --disable-pip-version-check --no-compile "$@"
printf %s "$*" >"$folder/.complete"
