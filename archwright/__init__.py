"""Archwright designs a neural network and the accelerator it runs on, together."""

__version__ = "0.1.0"
