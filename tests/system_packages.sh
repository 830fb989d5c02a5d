#!/usr/bin/env bash
# Installs what the browser tests need and pip can't bring: Chromium and fonts for
# five languages. Where that is not allowed, the browser tests skip and say so.
set -euo pipefail

if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -qi "noto.*cjk"; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "system_packages: no apt-get here; install Chromium by hand for the browser tests." >&2
    exit 0
fi
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "system_packages: not root; run: sudo apt-get install chromium fonts-noto-core fonts-noto-cjk" >&2
        exit 0
    fi
    as_root="sudo"
fi
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends \
    chromium fontconfig fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji >/dev/null
