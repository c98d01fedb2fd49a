"""A model as a folder for programs without rs2sam: ONNX, torch.export, ahead-of-time compiled."""
