#!/usr/bin/env bash
# Shows what the tests of this folder find in an older commit: tests/reliability/against.sh COMMIT [PYTEST ARGUMENTS]
#
# They type commands and read files only, so they run on any commit whose `earmark` can be imported. Fails where they pass.
set -eu
cd "$(dirname "$0")/../.."
commit=$(git rev-parse --verify "${1:?usage: tests/reliability/against.sh COMMIT}^{commit}")
shift
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
git archive "$commit" | tar -x -C "$tree"
python=$PWD/.venv/bin/python
"$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --target "$tree/site" "$tree" 2>/dev/null ||
  "$python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$tree/site" "$tree"
tests=$(grep -l "from command_line import" tests/reliability/test_*.py)
# shellcheck disable=SC2086
if EARMARK_LIMIT_S=30 EARMARK_TREE="$tree/site" "$python" -m pytest -q -p no:cacheprovider --no-header -rf "$@" $tests; then
  echo "nothing of tests/reliability fails on $commit" >&2
  exit 1
fi
echo "these fail on $commit, as they should" >&2
