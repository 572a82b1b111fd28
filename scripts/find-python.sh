# Sourced by bin/sa-spool and scripts/dev-env: sa_find_python sets sa_python to a Python 3.11 or newer, or to
# nothing; sa_no_python is then what to tell the user. Prefers one that can make environments. POSIX sh.
# shellcheck shell=sh disable=SC2034

sa_no_python="needs Python 3.11 or newer and found none on PATH; install it (Debian, Ubuntu: apt install \
python3 python3-venv; macOS: brew install python) and run this again"

# Exit code 0: good; 3: it has no ensurepip, so it may be unable to make an environment; another: useless.
# Run, not asked by name: a pyenv shim for a version that is not active exists and fails.
sa_probe='import os, sys
if sys.version_info < (3, 11): sys.exit(1)
sys.exit(0 if os.path.exists(os.path.join(os.path.dirname(os.__file__), "ensurepip", "__main__.py")) else 3)'

sa_find_python() {
    sa_python='' sa_second_choice=''
    for sa_name in python3 python3.14 python3.13 python3.12 python3.11 python \
        /usr/bin/python3 /usr/local/bin/python3 /opt/homebrew/bin/python3; do
        sa_candidate=$(command -v "$sa_name" 2>/dev/null) || continue
        case $sa_candidate in
            # On macOS this is a stub that opens a window when the developer tools are missing.
            /usr/bin/python3) [ ! -d /System/Library ] || continue ;;
            /*) ;;
            *) continue ;; # an alias, or found through a relative entry of PATH
        esac
        sa_code=0
        "$sa_candidate" -I -S -c "$sa_probe" </dev/null >/dev/null 2>&1 || sa_code=$? # set -e may be on
        case $sa_code in
            0)
                sa_python=$sa_candidate
                return
                ;;
            3) sa_second_choice=${sa_second_choice:-$sa_candidate} ;;
        esac
    done
    sa_python=$sa_second_choice
}
