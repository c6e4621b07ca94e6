"""MLServer with adaptive batching: the file as base64 in an Open Inference Protocol request. Environment: GRAPH, THREADS."""

from __future__ import annotations

import os

import numpy as np
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import Base64Codec, NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from preprocess import pixels_of, probability


class Detector(MLModel):
    async def load(self) -> bool:
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        self.session = ort.InferenceSession(os.environ["GRAPH"], options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        files = Base64Codec.decode_input(payload.inputs[0])
        batch = np.concatenate([pixels_of(media, draft=False) for media in files])
        logits = self.session.run(["logit"], {"pixels": batch})[0][:, 0]
        scores = np.array([[probability(logit)] for logit in logits])
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", scores)])
