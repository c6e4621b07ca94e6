"""Training and packaging of the shipped detectors.

`windows`, `calibration` and `metrics` need numpy alone and say what the inference pod must reproduce; the rest needs the
training environment that `models/training/run` sets up. Nothing here is imported by the operator or by the pod.
"""
