"""FastAPI and onnxruntime: one multipart file in, a score out, the work in a thread, as detectors are usually served in Python.

Environment: GRAPH, THREADS (of one onnxruntime session), DRAFT=1 (JPEG decoding at reduced size).
"""

from __future__ import annotations

import asyncio
import os
import tempfile

import onnxruntime as ort
from fastapi import FastAPI, UploadFile

from preprocess import normalised, pixels_of, probability

DRAFT = os.environ.get("DRAFT") == "1"
options = ort.SessionOptions()
options.intra_op_num_threads = int(os.environ["THREADS"])
session = ort.InferenceSession(os.environ["GRAPH"], options, providers=["CPUExecutionProvider"])
app = FastAPI()


@app.get("/ping")
async def ping():
    return {"status": "pong"}


def score(media: bytes) -> float:
    return probability(session.run(["logit"], {"pixels": pixels_of(media, DRAFT)})[0][0, 0])


@app.post("/predict")
async def predict(file: UploadFile):
    media = await file.read()
    return {"score": await asyncio.to_thread(score, media)}


def score_video(media: bytes, method: str, count: int) -> float:
    from video import FRAMES

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(media)
        file.flush()
        logits = [session.run(["logit"], {"pixels": normalised(frame)})[0][0, 0] for frame in FRAMES[method](file.name, count)]
    return probability(sum(logits) / len(logits))


@app.post("/predict/video/{method}")
async def predict_video(method: str, file: UploadFile, frames: int = 16):
    media = await file.read()
    return {"score": await asyncio.to_thread(score_video, media, method, frames)}
