"""The one path of ours that no upgrade moves: `sa-spool` in the data folder, for what starts us after a reboot.

Environments come and go with versions. This file runs the one that was built last; when an upgrade of the
system has taken the interpreter away from under every one of them, it builds that one again on any Python.
`environment_build.py` writes it with each environment.
"""

import contextlib
import os

NAME = "sa-spool"
TEXT = """\
#!/bin/sh
# sa-spool in the environment that was built last, for whatever must not depend on a version: a service, a crontab.
# Written with every environment. The names start with sa_ because a variable that the caller has exported would be
# exported as we change it.
set +aefuC
case $0 in
    */*) sa_data=${0%/*} ;;
    *) sa_data=. ;;
esac
sa_python='' sa_main='' sa_newest='' sa_code='' sa_latest=''
for sa_ready in "$sa_data"/env-*/ready; do
    [ -f "$sa_ready" ] || continue
    {
        IFS= read -r sa_its_python
        IFS= read -r sa_its_main
    } 2>/dev/null <"$sa_ready"
    [ -f "$sa_its_main" ] || continue
    if [ -z "$sa_latest" ] || [ "$sa_ready" -nt "$sa_latest" ]; then
        sa_latest=$sa_ready sa_code=${sa_its_main%/*}
    fi
    # An upgrade of Python can take the interpreter away from under an environment.
    [ -x "$sa_its_python" ] || continue
    if [ -z "$sa_newest" ] || [ "$sa_ready" -nt "$sa_newest" ]; then
        sa_newest=$sa_ready sa_python=$sa_its_python sa_main=$sa_its_main
    fi
done
[ -z "$sa_python" ] || exec "$sa_python" -I -S "$sa_main" "$@"

if [ "${1-}" = exec ]; then # its command is not to wait for a build, nor to fail with us
    sa_or_run=''
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        [ "$1" != --or-run ] || sa_or_run=yes
        shift
    done
    [ -z "$sa_or_run" ] || [ $# -lt 2 ] || {
        shift
        exec "$@"
    }
    echo "sa-spool: no environment in $sa_data is whole; start Claude Code, or install smart-agents again" >&2
    exit 125
fi
for sa_name in python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$sa_code" ] || break
    "$sa_name" -I -S -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null >/dev/null 2>&1 || continue
    SA_DATA_DIR=$(CDPATH='' cd -- "$sa_data" && pwd)
    export SA_DATA_DIR
    exec "$sa_name" -I -S "$sa_code/environment.py" build --quiet --then "$@"
done
echo "sa-spool: no environment in $sa_data is whole; start Claude Code, or install smart-agents again" >&2
exit 4
"""


def keep(data: str) -> str:
    """The path of the launcher in the folder `data`, after writing it when it is missing or another version's.

    By one rename, from a name of this process's own: two versions may be built at once. Raises OSError.
    """
    path = os.path.join(data, NAME)
    with contextlib.suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as file:
        if file.read() == TEXT and os.access(path, os.X_OK):
            return path
    part = f"{path}.{os.getpid()}"
    try:
        with open(part, "w", encoding="utf-8") as file:
            file.write(TEXT)
            file.flush()
            os.fchmod(file.fileno(), 0o755)
            os.fsync(file.fileno())
        os.rename(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return path
