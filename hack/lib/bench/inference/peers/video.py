"""Evenly spread frames of a clip, 224 x 224 RGB, as Python servers take them."""

from __future__ import annotations

from collections.abc import Iterator

import av
import cv2
import numpy as np

from preprocess import SIDE


def opencv_loop(path: str, count: int) -> Iterator[np.ndarray]:
    """Reads every frame and keeps those that are wanted."""
    clip = cv2.VideoCapture(path)
    wanted = set(np.linspace(0, int(clip.get(cv2.CAP_PROP_FRAME_COUNT)) - 1, count).astype(int).tolist())
    index = 0
    while clip.grab():
        if index in wanted:
            yield cv2.resize(cv2.cvtColor(clip.retrieve()[1], cv2.COLOR_BGR2RGB), (SIDE, SIDE))
        index += 1
    clip.release()


def pyav_seeks(path: str, count: int) -> Iterator[np.ndarray]:
    """Seeks to the keyframe before each wanted time and decodes up to it."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for time in np.linspace(0, float(stream.duration * stream.time_base), count, endpoint=False):
            container.seek(int(time / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if frame.time + 0.5 / float(stream.average_rate) >= time:
                    yield frame.reformat(SIDE, SIDE, "rgb24").to_ndarray()
                    break


FRAMES = {"opencv": opencv_loop, "pyav": pyav_seeks}
