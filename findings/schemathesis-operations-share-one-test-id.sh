#!/usr/bin/env bash
# schemathesis 4.32.5 with pytest 9.2.0 and pytest-xdist 3.8.0: one test for each operation of an OpenAPI document.
# One would guess: operations are tests with ids of their own, as pytest shows their names, so that pytest-xdist runs all
# of them, however it shares them among its workers.
# What happens: all have the id of the test function. pytest runs each, and so does pytest-xdist by itself; with
# --dist loadfile it knows tests by their ids, runs one of them and passes, without a word of the others.
# Seen: ids: 1; pytest: 3 passed; pytest-xdist by file: 1 passed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
environ=(env -i PATH="$PATH" HOME="$folder" PYTHONDONTWRITEBYTECODE=1)
cd "$folder"
"${environ[@]}" python3 -m venv python
"${environ[@]}" python/bin/pip install --quiet --disable-pip-version-check \
  schemathesis==4.32.5 pytest==9.2.0 pytest-xdist==3.8.0
cat > test_operations.py <<'PY'
import schemathesis

answers = {"200": {"description": "OK"}}
paths = {f"/{name}": {"get": {"responses": answers}} for name in ("one", "two", "three")}
schema = schemathesis.openapi.from_dict({"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "paths": paths})


@schema.parametrize()
def test_operation(case):
    pass
PY
run() { "${environ[@]}" python/bin/python -m pytest -q -p no:cacheprovider "$@"; }
ids=$(run --collect-only | grep '::' | sort -u | wc -l)
passed=$(run | grep -o '[0-9]* passed')
shared=$(run -n 2 --dist loadfile | grep -o '[0-9]* passed')
"${environ[@]}" python/bin/pip list --disable-pip-version-check | grep -E '^(pytest|pytest-xdist|schemathesis) '
told="ids: $ids; pytest: $passed; pytest-xdist by file: $shared"
echo "$told"
[[ $told == "ids: 1; pytest: 3 passed; pytest-xdist by file: 1 passed" ]]
