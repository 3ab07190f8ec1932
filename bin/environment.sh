# shellcheck shell=sh
# Sourced by the other scripts in bin/, which set $root: makes a Python environment from lock files.
: "${root:?}"

# Print one step on stderr.
say() { printf 'scanner: %s\n' "$*" >&2; }

# Print the command of a suitable Python: $PYTHON first, then the versions that are tested most.
find_python() {
    without_venv=
    for command in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3; do
        version=$("$command" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
            continue
        case $version in 3.1[1-4]) ;; *) continue ;; esac
        # Debian puts `ensurepip` into a package of its own; without it there is no pip.
        if "$command" -c 'import ensurepip, venv' 2>/dev/null; then
            echo "$command"
            return
        fi
        without_venv=$version
    done
    if [ -n "$without_venv" ]; then
        say "Python $without_venv is installed, but its venv module is not:" \
            "sudo apt install python$without_venv-venv"
    else
        say "Python 3.11 to 3.14 not found: sudo apt install python3 python3-venv"
    fi
    return 4 # a required service is unavailable
}

# prepare FOLDER LOCK…: install the lock files of requirements/ into the environment FOLDER.
# Sets $environment to its bin folder. Does nothing when nothing has changed since the last time.
prepare() {
    folder="$root/$1"
    shift
    environment="$folder/bin"
    stamp="$root $(cd "$root/requirements" && cat "$@" ../pyproject.toml | cksum)"
    if [ "$(cat "$folder/stamp" 2>/dev/null)" = "$stamp" ] && "$environment/python" -c '' 2>/dev/null; then
        return
    fi
    python=$(find_python) || return
    say "setting up $("$python" -V) in $folder (once; some minutes on a small machine)"
    rm -f "$folder/stamp" "$environment/scanner"
    "$environment/python" -c '' 2>/dev/null || "$python" -m venv --clear "$folder"
    for lock in "$@"; do
        say "installing requirements/$lock"
        "$environment/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --require-hashes --requirement "$root/requirements/$lock"
    done
    printf '%s\n' "$stamp" >"$folder/stamp"
}

# prepare_scanner: make the environment of the `scanner` command in .venv, with this clone in it.
prepare_scanner() {
    prepare .venv worker.txt build.txt
    if [ ! -x "$environment/scanner" ]; then
        say "installing the clone itself"
        "$environment/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --no-deps --no-build-isolation --no-index --editable "$root"
    fi
}
