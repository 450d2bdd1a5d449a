"""What a model is while it serves: one bundle file, a fast predictor, reasons and the decision policy.

A training run writes the bundle (:mod:`shared.scoring.build`, the only module here that imports ``onnx``);
whoever scores reads it back (:mod:`shared.scoring.bundle`) with numpy and ONNX Runtime alone.
"""
