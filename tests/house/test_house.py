"""The house holds what docs/tour.md promises: one direction, one name for one thing, no code without a caller.

Each check must pass on the sources, and fail on a small house in which just that is broken.
"""

from collections.abc import Callable
from pathlib import Path

import house
import pytest

ROOT = Path(__file__).parents[2]
CHECKS: list[Callable[[Path], list[str]]] = [
    house.rooms_out_of_order,
    house.circles,
    house.forbidden_packages,
    house.names_that_stand_twice,
    house.without_a_caller,
    house.cited_in_vain,
    house.placeholders,
]

SOUND = {
    "docs/method.md": "# The method\n\n## 1. What is compared\n",
    "engine/errors.py": "class InputError(Exception):\n    pass\n",
    "engine/design/spec.py": (
        '"""Sections (method 1)."""\n'
        "from earmark.engine.errors import InputError\n"
        "class Spec:\n    def read(self):\n        raise InputError\n"
        "def parse():\n    return Spec().read()\n"
    ),
    "engine/corpus/clip.py": ("from earmark.engine.design.spec import parse\ndef clip():\n    return parse()\n"),
    "engine/signoff/certify.py": "import numpy\ndef certify(x):\n    return numpy.sum(x)\n",
    "kernels/statistics/exact.py": "import numpy\ndef p_value(x):\n    return numpy.sum(x)\n",
    "cli/main.py": (
        "from earmark.engine.corpus.clip import clip\n"
        "from earmark.engine.signoff import certify\n"
        "from earmark.kernels.statistics.exact import p_value\n"
        "def main():\n    return certify.certify(p_value(clip()))\n"
    ),
}


def built(root: Path, **changes: str) -> Path:
    """A small house, with some files added to or replaced; `__` in a name is a folder."""
    for name, content in {**SOUND, **{name.replace("__", "/") + ".py": text for name, text in changes.items()}}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_is_sound(check: Callable[[Path], list[str]], tmp_path: Path) -> None:
    assert check(ROOT) == []
    assert check(built(tmp_path)) == []


@pytest.mark.parametrize(
    ("check", "name", "content", "expected"),
    [
        (
            house.rooms_out_of_order,
            "engine__design__x",
            "from earmark.engine.signoff import certify",
            "imports engine/si",
        ),
        (house.rooms_out_of_order, "engine__signoff__x", "from earmark.cli.main import main", "imports cli/main.py"),
        (house.rooms_out_of_order, "engine__files", "from earmark.engine.design.spec import parse", "beside the rooms"),
        (
            house.rooms_out_of_order,
            "kernels__x",
            "def f():\n    from earmark.engine import errors",
            "imports engine/err",
        ),
        (
            house.circles,
            "engine__errors",
            "def f():\n    from earmark.engine.design.spec import parse",
            "errors.py -> ",
        ),
        (house.forbidden_packages, "engine__signoff__x", "import torch", "reaches torch"),
        (house.forbidden_packages, "engine__design__x", "def f():\n    import soundfile", "reaches soundfile"),
        (house.forbidden_packages, "kernels__x", "import scipy", "imports scipy"),
        (house.forbidden_packages, "engine__sweep__x", "import transformers", "imports transformers"),
        (house.names_that_stand_twice, "engine__corpus__x", "class Spec: pass", "class Spec"),
        (house.names_that_stand_twice, "engine__corpus__spec", "", "file spec.py"),
        (house.without_a_caller, "engine__corpus__x", "def lonely(): pass", "lonely"),
        (
            house.without_a_caller,
            "engine__corpus__x",
            "def again(): pass\nagain.x = 1\nclass A:\n    def b(self): pass",
            "b",
        ),
        (house.cited_in_vain, "engine__corpus__x", "# method 1.7", "cites method 1.7"),
        (house.cited_in_vain, "engine__corpus__x", "# docs/gone.md", "cites docs/gone.md"),
        (house.cited_in_vain, "engine__corpus__x", '"""SPEC 3."""', "cites SPEC 3"),
        (house.placeholders, "engine__corpus__x", "def f(said):\n    return said", "said"),
        (house.placeholders, "engine__corpus__x", "found = 1", "found"),
    ],
)
def test_what_breaks_it_is_found(
    check: Callable[[Path], list[str]], name: str, content: str, expected: str, tmp_path: Path
) -> None:
    broken = check(built(tmp_path, **{name: content + "\n"}))
    assert any(expected in sentence for sentence in broken), broken
