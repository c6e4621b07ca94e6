"""Golden files of families that only the pod can read (faces, videos): measured by its own program. Standard library alone; the imports use it, too."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]


class GoldenError(RuntimeError):
    """The pod's program did not add the files; the message says why, in one line."""


def measure(folder: Path, files: Sequence[Path], tolerance: float) -> None:
    """Adds golden files to the `model.yaml` of a package that is complete but for them. GoldenError, and nothing has changed then."""
    added = [word for path in files for word in ("--add", str(Path(path).resolve()))]
    command = [*program(), str(Path(folder).resolve()), *added, "--tolerance", str(tolerance)]
    try:
        ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    except OSError as error:
        raise GoldenError(f"{command[0]} cannot be started ({error}); `npm ci` in the repository brings it") from error
    if ended.returncode != 0:
        last = (ended.stderr.strip() or f"exit {ended.returncode}").splitlines()[-1]
        raise GoldenError(last.removeprefix("deepfake-inference: "))
    print("".join(f"  golden {line.removeprefix('golden/')}\n" for line in ended.stderr.splitlines()), end="", flush=True)


def told(folder: Path, file: str = "FILE") -> str:
    """The command that completes the package, for a person in the root of the repository."""
    return f"node inference/main.ts golden {shlex.quote(str(Path(folder).resolve()))} --add {file}"


def program() -> list[str]:
    local = REPOSITORY / "node_modules" / ".bin" / "node"
    return [str(local) if local.exists() else "node", "inference/main.ts", "golden"]
