"""A weight-sharing supernet: training, evaluation, extraction, export."""
