#!/bin/sh
# Brings one virtual environment to exactly one lock file; costs nothing when it is there already.
#
#   scripts/environment.sh VENV LOCK [SOURCE…]     e.g. scripts/environment.sh .venv requirements/run.txt quant_trading_system
#
# Needs a Python >= 3.11 with venv and a package index, nothing else. $PYTHON names another interpreter. The stamp in the
# environment holds the checksum of each lock that was installed, so a changed lock is installed again and an unchanged
# one is not. SOURCEs are compiled to bytecode, whatever PYTHONDONTWRITEBYTECODE says: a start without it takes three
# times as long.
set -eu
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH

fail() {
    printf 'environment: %s\n' "$*" >&2
    exit 4
}

[ $# -ge 2 ] || fail "usage: scripts/environment.sh VENV LOCK [SOURCE...]"
venv=$1 lock=$2
shift 2
stamp=$venv/.installed
[ -f "$lock" ] || fail "no lock file $lock; is this a complete checkout?"

serves='import sys; sys.exit(0 if sys.version_info >= (3, 11) else 1)'

find_python() {
    old='' bare=''
    if [ -n "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3 python; fi
    for candidate in "$@"; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        if ! "$candidate" -c "$serves" >/dev/null 2>&1; then
            old="$old $candidate"
        elif ! "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            bare="$bare $candidate"
        else
            python=$candidate
            return
        fi
    done
    [ -z "$bare" ] || fail "found$bare, but without the venv module; install it (Debian: apt install python3-venv)"
    [ -z "$old" ] || fail "found$old, but Python 3.11 or newer is needed; name another one: make PYTHON=/path/to/python"
    fail "no Python found; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python"
}

# An environment that was moved, or whose interpreter was removed or replaced, is built anew. One that somebody made by
# other means is used as long as it is ours and new enough.
is_sound() {
    [ -x "$venv/bin/python" ] || return 1
    "$venv/bin/python" -c "$serves" >/dev/null 2>&1 || return 1
    "$venv/bin/python" -m pip --version >/dev/null 2>&1 || return 1
    [ "$("$venv/bin/python" -c 'import sys; print(sys.prefix)')" = "$(cd "$venv" && pwd -P)" ] ||
        [ "$("$venv/bin/python" -c 'import sys; print(sys.prefix)')" = "$(cd "$venv" && pwd)" ]
}

# Interpreter and lock together: an environment rebuilt on another Python starts with an empty stamp anyway.
mark=$(cksum <"$lock" | tr ' ' '-')-$(basename "$lock")

if ! [ -f "$stamp" ] || ! grep -qxF "$mark" "$stamp" || ! [ -x "$venv/bin/python" ]; then
    if ! is_sound; then
        find_python
        printf 'Making %s with %s.\n' "$venv" "$("$python" -V 2>&1)" >&2
        "$python" -m venv --clear "$venv" || fail "$python could not make $venv; its output above says why"
    fi
    count=$(grep -c '^[A-Za-z0-9]' "$lock")
    printf 'Installing the %s packages of %s into %s (the first time takes a minute or two).\n' "$count" "$lock" "$venv" >&2
    PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1 "$venv/bin/python" -m pip install --quiet \
        --progress-bar off --require-hashes --no-deps --only-binary :all: --requirement "$lock" >"$venv/pip.log" 2>&1 || {
        tail -n 12 "$venv/pip.log" >&2
        fail "pip could not install $lock (its words are above); is a package index reachable (PIP_INDEX_URL, proxy)?"
    }
    printf '%s\n' "$mark" >>"$stamp"
fi

# Sources that are up to date cost a look at their time stamps only.
[ $# -eq 0 ] || "$venv/bin/python" -m compileall -q "$@" || fail "a source file does not compile; see above"
