"""What the transcripts say of the notices that were offered to one session; each transcript is read once."""

from __future__ import annotations

from smart_agents_fs.spool import transcripts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Proofs:
    """The answers for those notices that `waiting` holds; `heir` is who may have been told in its place."""

    def __init__(
        self,
        waiting: dict[str, dict[str, Any]],
        session: dict[str, Any] | None,
        heir: dict[str, Any] | None,
        *,
        patience_s: float,
    ) -> None:
        self._patience_s = patience_s
        self._session = session or {}
        self._heirs = heir.get("transcript_path") if heir else None
        self._wanted: dict[object, list[str]] = {}
        self._since: dict[object, int] = {}
        self._known: dict[object, set[str] | None] = {}
        for notice in waiting.values():
            path = self._path(notice)
            self._wanted.setdefault(path, []).append(str(notice["id"]))
            since = (notice.get("offer") or {}).get("transcript_size")
            since = since if isinstance(since, int) else 0
            self._since[path] = min(since, self._since.get(path, since))

    def of(self, notice: dict[str, Any]) -> bool | None:
        """Whether the model was told this notice; None when there is no transcript to ask."""
        path, notice_id = self._path(notice), str(notice["id"])
        if path not in self._known:
            self._known[path] = transcripts.told(
                path, self._wanted[path], self._since[path], patience_s=self._patience_s
            )
        found = self._known[path]
        if self._heirs and (found is None or notice_id not in found):
            others = transcripts.told(self._heirs, [notice_id])
            if others:
                return True
        return None if found is None else notice_id in found

    def _path(self, notice: dict[str, Any]) -> object:
        return (notice.get("offer") or {}).get("transcript") or self._session.get("transcript_path")
