"""Accuracy learned from measured networks: cheaper than measuring, with uncertainty.

- ``features``  networks of any space as columns of numbers
- ``accuracy``  the predictor and its intervals
- ``regression`` any target on columns of any scale
- ``process``   the Gaussian process beneath it

Once-for-All's own, released predictor is in ``evaluators.supernet.released.predictor``.
"""

from archwright.evaluators.predictor.accuracy import AccuracyPredictor, Prediction
from archwright.evaluators.predictor.features import NetworkFeatures
from archwright.evaluators.predictor.regression import Regression

__all__ = ["AccuracyPredictor", "NetworkFeatures", "Prediction", "Regression"]
