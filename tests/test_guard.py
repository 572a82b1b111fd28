"""The guard's reading and changing of command lines: a table of lines, and proof by running them."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from smart_agents_fs.guard.heavy import BUILT_IN, TYPES, WORDS, Patterns, words_of
from smart_agents_fs.guard.rewriting import rewritten

E2E = "SA exec --type e2e_test --or-run -- "
BUILD = "SA exec --type build --or-run -- "
#: lines with § where the text for a build goes and ¶ where that for end-to-end tests does
CHANGED = [
    "¶npx playwright test",
    "¶npx --yes playwright test --project=chromium",
    "¶playwright test e2e/login.spec.ts",
    "¶./node_modules/.bin/playwright test",
    "¶pnpm exec playwright test",
    "¶yarn playwright test",
    "¶npx cypress run --spec 'a b'",
    "¶npm run test:e2e",
    "¶npm run test:e2e -- --headed",
    "¶pnpm e2e",
    "¶make e2e",
    "¶make -C web test-e2e",
    "§npm run build",
    "§npm test",
    "§npm t",
    "§npm run test:unit",
    "§yarn build",
    "§yarn test",
    "§pnpm run build",
    "§bun run build",
    "§jest --ci",
    "§npx jest src/a.test.js",
    "§npx vitest run",
    "§npx jest --watchAll=false",
    "§pytest",
    "§pytest -q tests/",
    "§.venv/bin/pytest -x",
    "§python -m pytest -q",
    "§python3.11 -m pytest",
    "§uv run pytest",
    "§poetry run pytest -k 'a and b'",
    "§tox -e py311",
    "§./gradlew test",
    "§gradle build --no-daemon",
    "§mvn -q verify",
    "§./mvnw package",
    "§cargo build --release",
    "§cargo +nightly test",
    "§cargo nextest run",
    "§make",
    "§make -j4 all",
    "§make -j$(nproc)",
    "§cmake --build build",
    "§ninja -C out",
    "§go test ./...",
    "§docker build -t x .",
    "§docker compose build",
    "§docker buildx build .",
    "§tsc -p .",
    "§npx vite build",
    "cd web && ¶npx playwright test",
    'cd a && FOO=1 ¶npx playwright test --x "y z" 2>&1 | tee log',
    "A=1 B='x y' C=$D §make",
    "§make && §pytest; §cargo test || echo no",
    "§make &",
    "(cd web && ¶npx playwright test) > log 2>&1",
    "{ §make; } 2>/dev/null",
    "! §make",
    "time §make",
    "nohup §make > out.log 2>&1 &",
    "§timeout 60 make",
    "§timeout -k 5 2m pytest -q",
    "¶env CI=1 npx playwright test",
    "§nice -n 10 make",
    "§nice -19 make",
    "¶xvfb-run -a npx playwright test",
    "§bash -c 'cd x && make'",
    '¶sh -c "make; npx playwright test"',
    "if §make; then echo ok; else echo no; fi",
    "for i in 1 2 3; do §pytest $i; done",
    "while §make; do sleep 1; done",
    "§make 2>&1 | grep -v '#' # make the rest",
    "cat <<EOF && §make\nmake this\nEOF\n§make that",
    "cat <<'EOF'\n$(make) `x\nEOF\n§make",
    "[[ -f Makefile && a < b ]] && §make",
    "[ -f Makefile ] && §make",
    "echo \"a `b` $c ${d:-e} $(f 'g)' )\" && §make",
    "x=$(make -n | wc -l); §make",
    "§make \\\n  -j4 \\\n  all",
    "echo a # b\n§make",
    "source venv/bin/activate && §pytest",
    "§make >&2 <in {fd}>x",
    "§'make' all",
    "<in §make",
    "diff <(sort a) <(sort b) && §make",
]
ALONE = [
    "ls -la",
    "git commit -m 'make it run npx playwright test'",
    "echo npx playwright test",
    "grep -r pytest .",
    "cat Makefile",
    "which make",
    "man make",
    "cmake -S . -B build",
    "npm install",
    "npm run dev",
    "npx playwright install",
    "npx playwright --version",
    "npx playwright test --ui",
    "npx playwright test --list",
    "npx cypress open",
    "npx jest --watch",
    "npx vitest",
    "npx vitest --ui run",
    "pytest --collect-only",
    "pytest --help",
    "pytest --version",
    "make -n",
    "make -nB all",
    "make help",
    "cargo --version",
    "cargo fmt",
    "./gradlew --stop",
    "gradle tasks",
    "tsc --watch",
    "docker ps",
    "docker run x make",
    "sa-spool exec --type build -- make",
    "sa-spool submit --agent command -- make",
    "sudo make install",
    "xargs make",
    "find . -name x -exec make {} \\;",
    "echo $(make)",
    "echo `make`",
    "exec make",
    "command make",
    "eval 'make'; make",
    "make() { command make -j8; }; make",
    "function make { :; }; make",
    "alias make='make -j8'; make",
    "case $x in a) make;; esac",
    "make 'unfinished",
    'make "unfinished',
    "make $(unfinished",
    "make )",
    "(make",
    "make ;; x",
    "a=(1 2); make",
    "((x++)); make",
    "cat <<EOF\nmake",
    "timeout $T make",
    "timeout --signal TERM 5 make",
    "$MAKE all",
    "time -p make",
    "echo $'a\\'b'; make",
    "make\r\n",
    "PATH=",
    "",
    "# make",
    "\\",
    "make \\",
]


def changed(line: str, *own: str) -> str:
    return rewritten(line, Patterns(own), "SA", lambda _: True)


@pytest.mark.parametrize("line", CHANGED)
def test_a_heavy_command_gets_its_slot_and_the_rest_of_the_line_stays_as_it_is(line: str) -> None:
    original = line.replace("§", "").replace("¶", "")
    assert changed(original) == line.replace("§", BUILD).replace("¶", E2E)
    assert any(word in original for word in WORDS), "the fast hook would not call Python for it"
    assert changed(changed(original)) == changed(original), "changed twice"


@pytest.mark.parametrize("line", ALONE)
def test_what_is_not_heavy_or_not_certain_is_left_alone(line: str) -> None:
    assert changed(line) == line


def test_a_name_that_is_no_program_may_be_a_function_and_is_left_alone() -> None:
    def lacks(line: str) -> str:
        return rewritten(line, Patterns(), "SA", lambda _: False)

    assert lacks("npm run build") == "npm run build"
    assert lacks("./gradlew test") == f"{BUILD}./gradlew test"
    assert lacks(". venv/bin/activate; pytest") == f". venv/bin/activate; {BUILD}pytest"


def test_the_users_own_patterns_come_first() -> None:
    assert changed("bin/smoke --all", "e2e_test=smoke( |$)") == f"{E2E}bin/smoke --all"
    assert changed("make smoke", "e2e_test=make smoke") == f"{E2E}make smoke"
    assert words_of(["build=^smoke-tests "])[-1] == "smoke-tests"
    assert words_of(["build=^smoke-tests?"]) == ['"']
    assert words_of(["build=a|b"]) == ['"']
    assert words_of(["build=.*x"]) == ['"']
    with pytest.raises(ValueError, match="TYPE=REGEX"):
        Patterns(["smoke"])


def test_a_program_whose_path_has_blanks_is_quoted() -> None:
    line = rewritten("make", Patterns(), "/home/a b's/sa-spool", lambda _: True)
    assert line.startswith("'/home/a b'\\''s/sa-spool' exec ")


def test_every_built_in_pattern_has_a_type_that_there_is() -> None:
    assert {kind for kind, _ in BUILT_IN} <= set(TYPES)


# -- proof by running -----------------------------------------------------------------------------------------------

SHELLS = [shell for shell in ("bash", "dash", "zsh") if shutil.which(shell)]
#: tells how it was called, reads what it is given, and ends with a code of its own
HEAVY = """#!/bin/sh
printf '%s:' "${0##*/}" "$@"; echo "$FOO"
case $1 in fail) exit 3 ;; in) cat ;; esac
echo "err $1" >&2
"""
PIECES = [
    *("make", "make fail", "FOO='a b' make x", 'make "y  z" \'q"\' \\$x', "echo plain", "false", "true", "cd sub"),
    *("make in < ../given", "make * 2>&1", "make $FOO", 'make "$(echo a b)"', "bash -c 'make k'"),
    *("timeout 9 make t", "make | cat", "make 2>&1 | sort"),
    *("env FOO=e pytest -q", "make > out; cat out", "cat given | make in", "pytest <<END\nmake\nEND\n", "! make"),
    *("if make; then echo y; else echo n; fi", "for i in 1 2; do make $i; done", "(cd sub; make)", "{ make; }"),
]


def run(line: str, folder: Path, shell: str) -> tuple[int, str, str, list[str]]:
    """What a line does: code, output, and the files that are there then."""
    shutil.rmtree(folder / "work", ignore_errors=True)
    (folder / "work/sub").mkdir(parents=True)
    (folder / "work/given").write_text("of the file\n")
    environ = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "FOO": "foo"}
    done = subprocess.run(
        [shell, "-c", line], cwd=folder / "work", env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    files = sorted(f"{path.name} {path.read_text()}" for path in (folder / "work").rglob("*") if path.is_file())
    return done.returncode, done.stdout, done.stderr, files


@pytest.mark.parametrize("seed", range(25))
def test_a_changed_line_does_what_the_line_does(seed: int, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("make", "pytest"):
        (programs / name).write_text(HEAVY)
    slots = tmp_path / "slots"
    (programs / "SA").write_text(f'#!/bin/sh\necho "$3" >> {slots}\nshift 5\nexec "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    dice = random.Random(seed)
    line = dice.choice(PIECES)
    for _ in range(dice.randrange(1, 5)):
        joint = "" if line.endswith("\n") else dice.choice([" && ", " || ", "; ", "\n", " ;", "&&"])
        line += joint + dice.choice(PIECES)
    shell = dice.choice(SHELLS)
    assert run(changed(line), tmp_path, shell) == run(line, tmp_path, shell), line
    assert ("SA " in changed(line)) == ("make" in line or "pytest" in line), line
