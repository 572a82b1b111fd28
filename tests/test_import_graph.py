"""The checker of the import graph itself: it sees every kind of import, and every arrow that is wrong."""

from __future__ import annotations

from pathlib import Path

import import_graph
import pytest
from import_graph import Arrow

LAYERS = {"errors": (), "disk": ("errors",), "engine": ("errors", "disk"), "__init__": ()}
DOORS = {"click": ("engine.door",)}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package whose arrows all point the right way."""
    folder = tmp_path / "thing"
    for name, text in {
        "__init__.py": "",
        "errors.py": "import os\n",
        "disk/__init__.py": "",
        "disk/layout.py": "from thing.errors import Broken\nfrom thing.disk import names\n",
        "disk/names.py": "import json\n",
        "engine/__init__.py": "",
        "engine/loop.py": "from thing.disk import layout\nfrom thing.engine import door\n",
        "engine/door.py": "import click\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def wrong(package: Path) -> list[str]:
    return list(import_graph.wrong(import_graph.arrows(package), LAYERS, DOORS))


def test_a_package_in_order_has_nothing_wrong(package: Path) -> None:
    assert import_graph.arrows(package) == [
        Arrow(source="thing.disk.layout", target="thing.disk.names", line=2),
        Arrow(source="thing.disk.layout", target="thing.errors", line=1),
        Arrow(source="thing.engine.door", target="click", line=1),
        Arrow(source="thing.engine.loop", target="thing.disk.layout", line=1),
        Arrow(source="thing.engine.loop", target="thing.engine.door", line=2),
    ]
    assert wrong(package) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import thing.engine.loop\n",
        "from thing.engine import loop\n",
        "from thing.engine.loop import something\n",
        "from ..engine import loop\n",
        "from .. import engine\n",
        "def late():\n    if True:\n        from thing.engine import loop\n",
        "class Late:\n    async def f(self):\n        with x:\n            import thing.engine\n",
        "try:\n    pass\nexcept OSError:\n    import thing.engine.loop\n",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    pass\nelse:\n    import thing.engine.loop\n",
    ],
)
def test_a_planted_wrong_arrow_is_seen_wherever_it_stands(package: Path, planted: str) -> None:
    (package / "disk/names.py").write_text(planted)
    (found,) = wrong(package)
    assert found.startswith("thing.disk.names:")
    assert found.endswith("and disk may import errors")


def test_what_is_imported_for_type_checkers_alone_is_no_arrow(package: Path) -> None:
    text = "import typing\nif typing.TYPE_CHECKING:\n    import thing.engine.loop\n"
    (package / "disk/names.py").write_text(text)
    assert wrong(package) == []


def test_a_package_through_another_than_its_door_is_seen(package: Path) -> None:
    (package / "engine/loop.py").write_text("def f():\n    from click import echo\n")
    assert wrong(package) == ["thing.engine.loop:2 imports click, whose door is engine.door"]


def test_a_package_without_a_door_is_seen(package: Path) -> None:
    (package / "engine/door.py").write_text("import requests.sessions\n")
    assert wrong(package) == ["thing.engine.door:1 imports requests, whose door is nowhere"]


def test_a_module_of_no_layer_is_seen(package: Path) -> None:
    (package / "helpers.py").write_text("import thing.errors\n")
    assert wrong(package) == ["thing.helpers:1 imports thing.errors, and thing.helpers belongs to no layer"]


def test_a_ring_and_what_is_reached_through_others_are_seen(package: Path) -> None:
    assert import_graph.rings(import_graph.arrows(package)) == []
    (package / "engine/door.py").write_text("def f():\n    import thing.engine.loop\n")
    graph = import_graph.arrows(package)
    assert import_graph.rings(graph) == ["thing.engine.door", "thing.engine.loop"]
    assert "thing.errors" in import_graph.reached(graph, "thing.engine.door")


def test_a_table_is_read_from_its_page() -> None:
    page = "text\n```layers\nerrors:\nspool:  errors, settings\n```\n"
    assert import_graph.table(page, "layers") == {"errors": (), "spool": ("errors", "settings")}


def test_a_page_without_the_table_is_no_silent_pass() -> None:
    with pytest.raises(AssertionError, match="has no block"):
        import_graph.table("nothing", "layers")
