"""The environment that an agent gets: an allow-list of names, and what its task names besides.

The supervisor is started by whoever submits first, often by a hook inside a Claude Code session, so what it
carries belongs partly to that session. A deny-list would let the next such variable through.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from smart_agents_fs.engine.agents.base import AgentUnavailable
from smart_agents_fs.spool.task import Task

#: who, where, and how text looks
_USER = (
    "HOME USER LOGNAME SHELL LANG LANGUAGE TZ TERM TMPDIR TMP TEMP HOSTNAME NO_COLOR SA_CONFIG SA_DATA_DIR SA_MACHINE"
)
#: how the user's running helpers are reached
_HELPERS = "SSH_AUTH_SOCK DBUS_SESSION_BUS_ADDRESS DISPLAY WAYLAND_DISPLAY XAUTHORITY WSL_DISTRO_NAME WSL_INTEROP"
_CERTIFICATES = "NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE CURL_CA_BUNDLE NIX_SSL_CERT_FILE GIT_SSL_CAINFO"
#: where toolchains are: places, no secrets
_TOOLCHAINS = """
    VIRTUAL_ENV CONDA_PREFIX CONDA_DEFAULT_ENV PYENV_ROOT PYENV_VERSION NVM_DIR NVM_BIN FNM_DIR VOLTA_HOME
    PNPM_HOME BUN_INSTALL DENO_DIR NODE_PATH NPM_CONFIG_PREFIX ASDF_DIR ASDF_DATA_DIR MISE_DATA_DIR SDKMAN_DIR
    JAVA_HOME MAVEN_HOME GRADLE_HOME GRADLE_USER_HOME GOPATH GOROOT GOBIN CARGO_HOME RUSTUP_HOME GEM_HOME
    GEM_PATH RBENV_ROOT DOTNET_ROOT ANDROID_HOME ANDROID_SDK_ROOT HOMEBREW_PREFIX NIX_PATH NIX_PROFILES
    LOCALE_ARCHIVE LD_LIBRARY_PATH PKG_CONFIG_PATH PLAYWRIGHT_BROWSERS_PATH DOCKER_HOST DOCKER_CONTEXT
"""
_NAMES = frozenset(f"{_USER} {_HELPERS} {_CERTIFICATES} {_TOOLCHAINS}".split())
_PREFIXES = ("LC_", "XDG_", "SSL_CERT_")
_PROXIES = frozenset(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"])

#: the client's settings; none of them is a file descriptor, which would not come along
_CLAUDE_SETTINGS = """
    CLAUDE_CONFIG_DIR CLAUDE_CODE_OAUTH_TOKEN CLOUD_ML_REGION GCLOUD_PROJECT CLOUDSDK_CONFIG IS_SANDBOX
    API_TIMEOUT_MS BASH_DEFAULT_TIMEOUT_MS BASH_MAX_TIMEOUT_MS BASH_MAX_OUTPUT_LENGTH ENABLE_TOOL_SEARCH
    MAX_THINKING_TOKENS MAX_MCP_OUTPUT_TOKENS MCP_TIMEOUT MCP_TOOL_TIMEOUT USE_BUILTIN_RIPGREP
    CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR CLAUDE_CODE_API_KEY_HELPER_TTL_MS CLAUDE_CODE_CERT_STORE
    CLAUDE_CODE_EFFORT_LEVEL CLAUDE_CODE_EXTRA_BODY CLAUDE_CODE_FORK_SUBAGENT CLAUDE_CODE_SHELL
    CLAUDE_CODE_PRINT_BG_WAIT_CEILING_MS CLAUDE_CODE_SHELL_PREFIX CLAUDE_CODE_TMPDIR
    CLAUDE_CODE_AUTO_COMPACT_WINDOW CLAUDE_CODE_PROXY_RESOLVES_HOSTS
"""
_CLAUDE_NAMES = frozenset(_CLAUDE_SETTINGS.split())
_CLAUDE_PREFIXES = (
    *("ANTHROPIC_", "AWS_", "AZURE_", "GOOGLE_", "VERTEX_", "OTEL_", "DISABLE_"),
    *("CLAUDE_CODE_CLIENT_", "CLAUDE_CODE_DISABLE_", "CLAUDE_CODE_ENABLE_", "CLAUDE_CODE_MAX_"),
    *("CLAUDE_CODE_SKIP_", "CLAUDE_CODE_SUBAGENT_", "CLAUDE_CODE_USE_"),
)
#: what makes a client believe that it runs inside another one, or ties it to that one's session
_OF_A_SESSION = """
    CLAUDECODE CLAUDE_PID CLAUDE_ENV_FILE CLAUDE_EFFORT CLAUDE_PROJECT_DIR CLAUDE_CODE_ENTRYPOINT AI_AGENT
    CLAUDE_CODE_SSE_PORT CLAUDE_CODE_CHILD_SESSION CLAUDE_CODE_CHILD_NOTES_DIR CLAUDE_CODE_EXECPATH
    CLAUDE_CODE_MESSAGING_SOCKET CLAUDE_CODE_MESSAGING_TOKEN TRACEPARENT TRACESTATE
"""
_NEVER = frozenset(_OF_A_SESSION.split())
_NEVER_PREFIXES = ("CLAUDE_CODE_SESSION_", "CLAUDE_PLUGIN_")


def agent_environment(task: Task, environ: Mapping[str, str], *, claude: bool = False) -> dict[str, str]:
    """The whole environment of the agent of `task`, without the `SA_*` names that the runner adds.

    With `claude` the client's own settings and its ways to log in pass as well. PATH is the task's, else ours.
    Raises AgentUnavailable for a name of `task.env` that is not set here.
    """
    found = {name: value for name, value in environ.items() if _passes(name) or (claude and _claude_passes(name))}
    for name in task.env:
        if is_refused(name):
            continue
        if name not in environ:
            raise AgentUnavailable(
                "env_missing",
                f"{name} is not in the environment of the supervisor; export it where the supervisor is started, "
                "then `sa-spool stop` and submit again",
            )
        found[name] = environ[name]
    found["PATH"] = task.path or environ.get("PATH") or os.defpath
    return found


def is_refused(name: str) -> bool:
    """Whether no agent gets the variable `name`, not even by request: it belongs to somebody's session."""
    return name in _NEVER or name.startswith(_NEVER_PREFIXES)


def _passes(name: str) -> bool:
    return name in _NAMES or name.startswith(_PREFIXES) or name.upper() in _PROXIES


def _claude_passes(name: str) -> bool:
    return (name in _CLAUDE_NAMES or name.startswith(_CLAUDE_PREFIXES)) and not is_refused(name)
