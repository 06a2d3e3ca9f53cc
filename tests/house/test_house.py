"""The house holds what docs/tour.md promises: one direction, one name for one thing, no code without a caller.

Each check must pass on the sources, and fail on a small house in which just that is broken.
"""

from collections.abc import Callable
from pathlib import Path

import callers
import house
import pytest

ROOT = Path(__file__).parents[2]
CHECKS: list[Callable[[Path], list[str]]] = [
    house.rooms_out_of_order,
    house.circles,
    house.forbidden_packages,
    house.names_that_stand_twice,
    callers.without_a_caller,
    house.cited_in_vain,
    house.placeholders,
]

SOUND = {
    "docs/method.md": "# The method\n\n## 1. What is compared\n\n### 1.1 Losses\n",
    "engine/errors.py": "class InputError(Exception):\n    pass\n",
    "engine/design/spec.py": (
        '"""Sections (method 1 and 1.1)."""\n'
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
        (
            house.rooms_out_of_order,
            "engine__design__x",
            "from ..signoff import certify",
            "imports engine/signoff/certify.py",
        ),
        (
            house.rooms_out_of_order,
            "engine__design__x",
            "from ..signoff.certify import certify",
            "imports engine/signoff",
        ),
        (
            house.rooms_out_of_order,
            "engine__sweep__x",
            "from earmark.engine.making import y",
            "imports engine/making/y.py",
        ),
        (
            house.rooms_out_of_order,
            "engine__making__y",
            "from earmark.engine.sweep import x",
            "imports engine/sweep/x.py",
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
        (house.rooms_out_of_order, "cli__x", "from earmark import certify", "imports earmark.certify"),
        (house.circles, "engine__errors", "def f():\n    from .design.spec import parse", "errors.py -> "),
        (house.circles, "engine__design__x", "from . import y", "x.py -> "),
        (house.forbidden_packages, "engine__signoff__x", "import torch", "reaches torch"),
        (house.forbidden_packages, "engine__design__x", "def f():\n    import soundfile", "reaches soundfile"),
        (house.forbidden_packages, "engine__design__x", "import pyarrow.parquet", "reaches pyarrow"),
        (house.forbidden_packages, "engine__design__x", "def f():\n    from numba import njit", "reaches numba"),
        (house.forbidden_packages, "kernels__x", "import scipy", "imports scipy"),
        (house.forbidden_packages, "engine__sweep__x", "import transformers", "imports transformers"),
        (house.names_that_stand_twice, "engine__corpus__x", "class Spec: pass", "class Spec"),
        (house.names_that_stand_twice, "engine__corpus__spec", "", "file spec.py"),
        (house.names_that_stand_twice, "engine__corpus__x", "class _Spec: pass", "class Spec"),
        (house.names_that_stand_twice, "engine__corpus__x", "Spec = tuple[int, ...]", "class Spec"),
        (house.names_that_stand_twice, "kernels__x", "_Spec: type = int", "class Spec"),
        (
            house.names_that_stand_twice,
            "cli__x",
            "Place = tuple[int, int]",
            "class Place: cli/x.py, engine/report/y.py",
        ),
        (callers.without_a_caller, "engine__corpus__x", "def lonely(): pass", "lonely"),
        (callers.without_a_caller, "engine__corpus__x", "class A:\n    def b(self): pass\nA().c", "A.b"),
        (
            callers.without_a_caller,
            "engine__corpus__x",
            "class Lonely:\n    def f(self) -> 'Lonely': ...",
            "x.py: Lonely",
        ),
        (callers.without_a_caller, "engine__corpus__x", "def again(n):\n    return again(n - 1)", "again"),
        (callers.without_a_caller, "engine__corpus__x", "def a(): b()\ndef b(): a()", "x.py: b"),
        (callers.without_a_caller, "engine__corpus__x", "def n(): pass\nlambda n: n", "x.py: n"),
        (callers.without_a_caller, "engine__corpus__x", "def n(): pass\n[n for n in ()]", "x.py: n"),
        (callers.without_a_caller, "engine__corpus__x", "def n(): pass\nclass A:\n    n = 1\nA", "x.py: n"),
        (
            callers.without_a_caller,
            "engine__corpus__x",
            "from contextlib import contextmanager\n@contextmanager\ndef f(): yield",
            "x.py: f",
        ),
        (callers.without_a_caller, "engine__corpus__x", "def main(): pass", "x.py: main"),
        (callers.without_a_caller, "engine__corpus__x", "LIMIT = 3", "LIMIT"),
        (
            callers.without_a_caller,
            "engine__corpus__x",
            'class A:\n    def rows(self):\n        """rows"""\nA()',
            "A.rows",
        ),
        (house.cited_in_vain, "engine__corpus__x", "# method 1.7", "cites method 1.7"),
        (house.cited_in_vain, "engine__corpus__x", "# method 1 and 77", "cites method 77"),
        (house.cited_in_vain, "engine__corpus__x", "# (method 1.1, 9.7)", "cites method 9.7"),
        (house.cited_in_vain, "engine__corpus__x", "# methods 1, 1.1 and 2", "cites method 2"),
        (house.cited_in_vain, "engine__corpus__x", "# docs/gone.md", "cites docs/gone.md"),
        (house.cited_in_vain, "engine__corpus__x", '"""SPEC 3."""', "cites SPEC 3"),
        (house.placeholders, "engine__corpus__x", "def f(said):\n    return said", "said"),
        (house.placeholders, "engine__corpus__x", "found = 1", "found"),
    ],
)
def test_what_breaks_it_is_named(
    check: Callable[[Path], list[str]], name: str, content: str, expected: str, tmp_path: Path
) -> None:
    beside = {"engine__making__y": "", "engine__sweep__x": "", "engine__design__y": "from . import x"}
    beside |= {"engine__report__y": "Place = str"}
    broken = check(built(tmp_path, **{**beside, name: content + "\n"}))
    assert any(expected in sentence for sentence in broken), broken
