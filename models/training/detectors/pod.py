"""Scores through a running pod's HTTP API: every family, the way a client gets them. Standard library alone."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
import uuid
from pathlib import Path

from detectors.judged import Judged, NotJudged


class PodError(RuntimeError):
    """The pod cannot be asked; the message says what it answered."""


class PodScorer:
    """Asks `POST /v1/detections`. A key is taken from DEEPFAKE_API_KEY where that is set."""

    how = "the pod's HTTP API"

    def __init__(self, url: str, model: str, timeout: float = 120.0) -> None:
        self.url, self.model, self.timeout = url.rstrip("/"), model, timeout

    def judge(self, path: Path) -> Judged:
        """NotJudged where the pod gives no score or refuses the file (4xx of the media); PodError for every other answer."""
        status, answer = self.post(path)
        if status in (413, 415, 422):
            raise NotJudged(reason_of(answer))
        if status != 200:
            raise PodError(f"{self.url}/v1/detections answered {status} for {path.name}: {reason_of(answer)}")
        if answer["score"] is None:
            raise NotJudged(", ".join(answer["inconclusive_reasons"]) or "no score")
        return Judged(float(answer["score"]), float("nan"))

    def post(self, path: Path) -> tuple[int, dict]:
        boundary = uuid.uuid4().hex
        field = f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{self.model}\r\n'
        file = f'--{boundary}\r\nContent-Disposition: form-data; name="media"; filename="media{path.suffix}"\r\nContent-Type: application/octet-stream\r\n\r\n'
        body = field.encode() + file.encode() + path.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        if key := os.environ.get("DEEPFAKE_API_KEY"):
            headers["X-API-Key"] = key
        request = urllib.request.Request(f"{self.url}/v1/detections", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, parsed(error.read())
        except OSError as error:
            raise PodError(f"{self.url} does not answer: {error}") from error


def parsed(text: bytes) -> dict:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def reason_of(answer: dict) -> str:
    error = answer.get("error")
    return str(error.get("code") or error.get("message") if isinstance(error, dict) else error or answer.get("detail") or "no reason given")
