"""The user's web address to which every notice is posted as JSON. http and https alone, no redirects.

An address may hold a secret in its path, so of it the log names the host alone. Proxies of the environment are used.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.parse
import urllib.request

from smart_agents_fs import __version__
from smart_agents_fs.spool import jsonio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

LIMIT_S = 10.0  #: for one try
PAUSES_S = (1.0, 5.0)  #: between the three tries
_PASSING = (408, 425, 429)  #: refusals by which another try may fare better; so may every 5xx


def post(url: str, notice: dict[str, Any], *, pauses_s: Sequence[float] = PAUSES_S, limit_s: float = LIMIT_S) -> str:
    """POST the notice; returns what went wrong with the last try, empty when one went well."""
    try:
        host = urllib.parse.urlsplit(url).hostname or ""
        headers = {"Content-Type": "application/json", "User-Agent": f"smart-agents/{__version__}"}
        body = jsonio.dumps(notice).encode("utf-8", "replace")
        request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310  (see _opener)
    except ValueError:
        return "the address cannot be read"
    trouble = ""
    for pause in (0.0, *pauses_s):
        time.sleep(pause)
        trouble, may_pass = _try(request, limit_s)
        if not trouble or not may_pass:
            break
    return f"{host}: {trouble}" if trouble else ""


def _try(request: urllib.request.Request, limit_s: float) -> tuple[str, bool]:
    """What went wrong, and whether another try may help."""
    try:
        with _opener().open(request, timeout=limit_s) as answer:
            answer.read(1024)
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP {error.code}", error.code >= 500 or error.code in _PASSING
    except urllib.error.URLError as error:
        reason = error.reason
        return str(getattr(reason, "strerror", None) or reason), True
    except (OSError, http.client.HTTPException, ValueError) as error:
        # Of these some repeat what they were given, so only their kind is told.
        return type(error).__name__, isinstance(error, OSError)
    return "", False


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https, through a proxy or not, and nothing else: no files, no FTP, no redirects."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
