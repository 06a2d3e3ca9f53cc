#!/usr/bin/env bash
# Shows what the tests of this folder find in an older commit: tests/reliability/against.sh COMMIT [PYTEST ARGUMENTS]
#
# They type commands and read files only, so they run on any commit whose `earmark` can be imported. A table says how many
# tests of each file fail there; the exit code is 1 where a file finds nothing.
set -eu
cd "$(dirname "$0")/../.."
commit=$(git rev-parse --verify "${1:?usage: tests/reliability/against.sh COMMIT}^{commit}")
shift
python=$PWD/.venv/bin/python
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir "$tree/sources"
git archive "$commit" | tar -x -C "$tree/sources"
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$tree/site" "$tree/sources"
touch "$tree/site/earmark/__init__.py" # a package without one would lose to the tree of today
PYTHONPATH="$tree/site" "$python" -c "
import earmark.cli.main as main, sys
sys.exit(None if main.__file__.startswith('$tree') else f'{main.__file__} is not of $commit')"

tests=$(grep -l "from command_line import" tests/reliability/test_*.py)
# shellcheck disable=SC2086
EARMARK_LIMIT_S=60 EARMARK_TREE="$tree/site" "$python" -m pytest -q -p no:cacheprovider --no-header --tb=no --junitxml="$tree/results.xml" \
  "$@" $tests >"$tree/log" || true
"$python" - "$tree/results.xml" <<'EOF'
import sys
from collections import Counter
from xml.etree import ElementTree

cases = list(ElementTree.parse(sys.argv[1]).iter("testcase"))
file_of = {case: case.get("classname").rpartition(".")[2] for case in cases}
failing = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
for case in failing:
    print(f"fails there: {file_of[case]}::{case.get('name')}")
counts, failed = Counter(file_of.values()), Counter(file_of[case] for case in failing)
for name in sorted(counts):
    print(f"{name:28} {failed[name]:3} of {counts[name]:3} fail")
nothing = [name for name in counts if not failed[name]]
sys.exit(f"these find nothing there: {', '.join(nothing)}" if nothing or not counts else None)
EOF
