"""Networks that come as ONNX files, read as workloads.

- ``graph``: a file's operators with the shapes of their tensors
- ``values``: constants and shapes that follow from initialisers alone
- ``operators``: which layers an operator stands for
- ``codes``: networks over integer codes, such as our own exports
- ``reading``: all of these together; the entry point
"""

from archwright.onnx_network.reading import OnnxNetwork, UnknownOperator, read_onnx_network

__all__ = ["OnnxNetwork", "UnknownOperator", "read_onnx_network"]
