"""A model as one ONNX file with its preprocessing inside: raw columns in, predictions out.

`export_model` is the whole of it. Nothing of this is imported until somebody asks for such a file, and of all the
project's modules these alone import `onnx`.
"""

from service.onnx_export.export import export_model

__all__ = ["export_model"]
