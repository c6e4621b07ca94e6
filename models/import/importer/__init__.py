"""Turns checkpoints that others trained into model packages. See README.md.

Only `architectures`, `checkpoint`, `export`, `quantise` and `commands` need torch; the rest is pure and tested with numpy alone. Nothing here is
imported by the operator or by the pod.
"""
