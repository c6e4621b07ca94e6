"""What `video-temporal` has to say of frames that a formula makes, in numpy alone: each window encodes its frames anew.

    python3 inference/testing/golden/video-temporal.py > inference/testing/golden/video-temporal.json

Made with numpy 1.26.4. The encoder and the head are those of `inference/testing/sequence-graphs.ts`.
"""

import json

import numpy as np

SIDE, WIDTH, UNITS, ROLLING = 16, 5, 4, 3
CASES = [
    {"name": "a clip of more frames than the head takes", "frames": 29, "sequence": 8, "windows": 6},
    {"name": "more windows than a clip has positions for", "frames": 11, "sequence": 8, "windows": 9},
    {"name": "a clip of as many frames as the head takes", "frames": 8, "sequence": 8, "windows": 6},
    {"name": "a clip of fewer frames than the head takes", "frames": 5, "sequence": 8, "windows": 6},
]
SPREADS = [(0, 299, 120), (119, 299, 50), (7, 107, 41)]


def sines(shape, scale):
    return (scale * np.sin(np.arange(1, np.prod(shape) + 1))).reshape(shape)


def frame(index):
    """[3, h, w] in 0..255."""
    channel, row, column = np.meshgrid(np.arange(3), np.arange(SIDE), np.arange(SIDE), indexing="ij")
    return (index * index * 7 + row * 3 + column * 5 + channel * (11 + 31 * index)) % 256


def encode(pixels):
    means = ((pixels / 255 - 0.5) / 0.5).mean(axis=(1, 2))
    return np.tanh(means @ sines((3, WIDTH), 1.0))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def head(features):
    """An LSTM with ONNX's order of gates (input, output, forget, cell); four times the sum of its last state."""
    w, r = sines((4 * UNITS, WIDTH), 1.0), sines((4 * UNITS, UNITS), 0.5)
    b = sines((8 * UNITS,), 0.1)
    hidden, cell = np.zeros(UNITS), np.zeros(UNITS)
    for step in features:
        i, o, f, c = np.split(w @ step + r @ hidden + b[: 4 * UNITS] + b[4 * UNITS :], 4)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(c)
        hidden = sigmoid(o) * np.tanh(cell)
    return 4 * hidden.sum()


def judge(indices):
    return head([encode(frame(index)) for index in indices])


def expected(frames, sequence, windows):
    if frames >= sequence:
        clip = np.linspace(0, frames - 1, sequence, dtype=int).tolist()
        ends = sorted(set(np.linspace(sequence - 1, frames - 1, windows, dtype=int).tolist()))
        positions = [list(range(end - sequence + 1, end + 1)) for end in ends]
    else:
        clip = list(range(frames)) + [0] * (sequence - frames)
        positions = [clip]
    logits = [judge(indices) for indices in positions]
    scores = sigmoid(np.array(logits))
    return {
        "clip": clip,
        "logit": judge(clip),
        "windowLogits": logits,
        "signals": {
            "rolling_average_scores": [scores[max(0, at - ROLLING + 1) : at + 1].mean() for at in range(len(scores))],
            "final_average_score": scores.mean(),
            "max_score": scores.max(),
            "min_score": scores.min(),
            "score_variance": scores.var(),
        },
    }


if __name__ == "__main__":
    cases = [{**case, **expected(case["frames"], case["sequence"], case["windows"])} for case in CASES]
    spreads = [
        {"first": first, "last": last, "count": count, "indices": np.linspace(first, last, count, dtype=int).tolist()}
        for first, last, count in SPREADS
    ]
    shape = {"side": SIDE, "width": WIDTH, "units": UNITS, "rollingWindows": ROLLING}
    print(json.dumps({**shape, "spreads": spreads, "cases": cases}, indent=2))
