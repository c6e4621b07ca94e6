"""LitServe with dynamic batching. Environment: GRAPH, THREADS, PORT."""

from __future__ import annotations

import os

import litserve as ls
import numpy as np
import onnxruntime as ort

from preprocess import pixels_of, probability


class Detector(ls.LitAPI):
    def setup(self, device):
        options = ort.SessionOptions()
        options.intra_op_num_threads = int(os.environ["THREADS"])
        self.session = ort.InferenceSession(os.environ["GRAPH"], options, providers=["CPUExecutionProvider"])

    def decode_request(self, request):
        return pixels_of(request["file"].file.read(), draft=False)

    def batch(self, inputs):
        return np.concatenate(inputs)

    def predict(self, batch):
        return self.session.run(["logit"], {"pixels": batch})[0][:, 0]

    def unbatch(self, output):
        return list(output)

    def encode_response(self, output):
        return {"score": probability(output)}


if __name__ == "__main__":
    server = ls.LitServer(Detector(max_batch_size=8, batch_timeout=0.005), accelerator="cpu", workers_per_device=2)
    server.run(port=int(os.environ["PORT"]), host="127.0.0.1", generate_client_file=False, log_level="warning")
