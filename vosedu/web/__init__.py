"""What a web browser gets: F and R in ONNX, for the page in `web/` of the repository."""
