# Sourced by the launchers in hack/: makes sure that the packages of package-lock.json are installed and sets
# ROOT (this checkout) and NODE (the pinned Node.js). Needs npm and any Node.js from version 20.
ROOT=$(cd "$(dirname "$0")/.." && pwd)
NODE=$ROOT/node_modules/.bin/node

install_packages() {
  command -v npm >/dev/null || {
    echo "npm is not installed: install Node.js 20 or newer with npm, then run this again" >&2
    return 1
  }
  # Two launchers at once: the second waits and then finds the work done.
  exec 9<"$ROOT/package-lock.json"
  flock 9
  stamp=$ROOT/node_modules/.lockfile-sha256
  wanted=$(sha256sum <"$ROOT/package-lock.json")
  if [ ! -x "$NODE" ] || { [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] &&
    [ ! "$ROOT/node_modules/.package-lock.json" -nt "$ROOT/package-lock.json" ]; }; then
    log=$(mktemp)
    echo "installing the npm packages (npm ci; log: $log)" >&2
    # The runtime's GPU libraries are an extra download of hundreds of megabytes.
    (cd "$ROOT" && ONNXRUNTIME_NODE_INSTALL=skip npm ci --no-progress) >"$log" 2>&1 9<&- || {
      tail -n 20 "$log" >&2
      echo "FAILED   npm packages" >&2
      echo "  log:    $log" >&2
      echo "  remedy: check that this machine reaches the npm registry (npm ping), then run this again" >&2
      return 1
    }
  fi
  rm -f "${log:-}"
  [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] || echo "$wanted" >"$stamp"
  exec 9<&-
}

install_packages || exit 1
# Downloads made by our own programs follow the machine's proxy and certificate settings.
export NODE_USE_ENV_PROXY=1 NODE_USE_SYSTEM_CA=1
