"""Speaks to a running server as clients of the Open Inference Protocol do, with NVIDIA's own client.

usage: client.py HOST:PORT IMAGE UNJUDGEABLE_IMAGE
The server has the models of the test packages: "picture", "second" and "voice". Ends with the first thing that is not as expected.
"""

import base64
import sys

import numpy as np
import tritonclient.http as http
from tritonclient.utils import InferenceServerException


def media_input(path, binary):
    with open(path, "rb") as file:
        content = file.read()
    tensor = http.InferInput("media", [1], "BYTES")
    element = content if binary else base64.b64encode(content)
    tensor.set_data_from_numpy(np.array([element], dtype=np.object_), binary_data=binary)
    return tensor


def pixels_input(count, level, binary=True):
    tensor = http.InferInput("pixels", [count, 3, 256, 256], "FP32")
    tensor.set_data_from_numpy(np.full((count, 3, 256, 256), level, dtype=np.float32), binary_data=binary)
    return tensor


def refused(action, text):
    try:
        action()
    except InferenceServerException as error:
        assert text in error.message(), error.message()
    else:
        raise AssertionError(f"expected a refusal that says: {text}")


def check_server(client):
    assert client.is_server_live() and client.is_server_ready()
    assert {"binary_tensor_data", "model_repository", "statistics"} <= set(client.get_server_metadata()["extensions"])
    assert client.is_model_ready("picture") and client.is_model_ready("picture.graph", "1.2.3")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("picture", "9")


def check_metadata(client):
    metadata = client.get_model_metadata("picture.graph")
    assert metadata["inputs"] == [{"name": "pixels", "datatype": "FP32", "shape": [-1, 3, 256, 256]}], metadata
    assert client.get_model_metadata("picture", "1.2.3")["inputs"][0]["datatype"] == "BYTES"
    refused(lambda: client.get_model_metadata("nobody"), "nobody")


def check_detector(client, image, unjudgeable):
    for binary in (False, True):
        result = client.infer("picture", [media_input(image, binary)], request_id="mine")
        assert result.get_response()["id"] == "mine"
        assert result.as_numpy("verdict").tolist() == [b"DEEPFAKE"]
        assert abs(result.as_numpy("score")[0] - 0.982) < 1e-3
    result = client.infer("picture", [media_input(unjudgeable, True)])
    assert result.as_numpy("score").shape == (0,)
    assert result.as_numpy("inconclusive_reasons").tolist() == [b"low_resolution"]


def check_requested_outputs(client, image):
    for binary in (False, True):
        wanted = [http.InferRequestedOutput(name, binary_data=binary) for name in ("heatmap", "verdict")]
        result = client.infer("picture", [media_input(image, True)], outputs=wanted)
        assert [output["name"] for output in result.get_response()["outputs"]] == ["heatmap", "verdict"]
        assert result.as_numpy("heatmap").shape == (2, 2)
        assert result.as_numpy("score") is None
    refused(lambda: client.infer("picture", [media_input(image, True)], outputs=[http.InferRequestedOutput("x")]), '"x"')


def check_graph(client):
    for binary in (False, True):
        wanted = [http.InferRequestedOutput("logit", binary_data=binary)]
        result = client.infer("picture.graph", [pixels_input(1, 255, binary)], outputs=wanted)
        np.testing.assert_allclose(result.as_numpy("logit"), [[4]], atol=1e-4)
    refused(lambda: client.infer("picture.graph", [http.InferInput("pixels", [1], "FP32")]), "shape")


def check_concurrency(client):
    levels = range(0, 256, 16)
    requests = [client.async_infer("picture.graph", [pixels_input(1, level)]) for level in levels]
    for level, request in zip(levels, requests):
        logit = request.get_result().as_numpy("logit")[0, 0]
        assert abs(logit - (level - 127.5) * 4 / 127.5) < 1e-3, (level, logit)


def check_statistics(client):
    for name in ("picture", "picture.graph"):
        (statistics,) = client.get_inference_statistics(name)["model_stats"]
        stages = statistics["inference_stats"]
        assert statistics["inference_count"] >= statistics["execution_count"] > 0
        assert stages["success"]["count"] > 0 and stages["compute_infer"]["ns"] > 0
        assert stages["success"]["ns"] >= stages["queue"]["ns"] + stages["compute_infer"]["ns"]
    assert len(client.get_inference_statistics()["model_stats"]) == 6


def check_repository(client):
    def states():
        return [(model["name"], model["state"]) for model in client.get_model_repository_index()]

    everything = [(name, "READY") for name in ("picture", "picture.graph", "second", "second.graph", "voice", "voice.graph")]
    assert states() == everything, states()
    client.unload_model("voice")
    assert states() == [*everything[:4], ("voice", "UNAVAILABLE")], states()
    assert not client.is_model_ready("voice") and client.is_model_ready("picture")
    client.load_model("voice")
    assert states() == everything and client.is_model_ready("voice.graph")
    refused(lambda: client.load_model("voice", config="{}"), "neither config nor files")
    refused(lambda: client.load_model("nobody"), "nobody")


def main(address, image, unjudgeable):
    with http.InferenceServerClient(address, concurrency=4) as client:
        check_server(client)
        check_metadata(client)
        check_detector(client, image, unjudgeable)
        check_requested_outputs(client, image)
        check_graph(client)
        check_concurrency(client)
        check_statistics(client)
        check_repository(client)
    print("as expected")


if __name__ == "__main__":
    main(*sys.argv[1:])
