"""The archive (the truth), the vector index over it, and lessons."""
