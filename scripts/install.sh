#!/bin/sh
# Install Archwright into .venv at the repository's root, which is made where it is missing.
#
#     scripts/install.sh PYTHON [dev]
#
# .venv/unfinished stands, with this process's id, while an install is under way; one that
# was interrupted is redone from nothing. .venv/installed (and .venv/installed-dev with
# the tools of the tests) are what the Makefile compares with pyproject.toml.
set -eu
cd "$(dirname "$0")/.."
python=$1
extra=${2:-}

if [ -e .venv/unfinished ]; then
    other=$(cat .venv/unfinished)
    if [ -n "$other" ] && kill -0 "$other" 2>/dev/null; then
        echo "process $other is installing into .venv: wait for it (if it is not: make clean)" >&2
        exit 1
    fi
    echo "the last install was interrupted: starting over"
    rm -rf .venv
fi
if ! sh scripts/find_python.sh .venv/bin/python >/dev/null 2>&1; then
    rm -rf .venv # none, or one whose Python has gone or does not suit
    mkdir .venv
    echo $$ >.venv/unfinished
    "$python" -m venv .venv
fi

echo $$ >.venv/unfinished
rm -f .venv/installed .venv/installed-dev
.venv/bin/python -m pip install --disable-pip-version-check \
    -c constraints.txt -e ".${extra:+[$extra]}"
if [ -n "$extra" ]; then cp .venv/unfinished ".venv/installed-$extra"; fi
mv .venv/unfinished .venv/installed
