"""Supernets that others trained on ImageNet and released: compatible with their files.

- ``supernet``: what they share: loading, extraction, counts
- ``checkpoint``: names in released files, in every style, to names of shared weights
- ``ofa``: Once-for-All MobileNetV3
- ``attentive``: AttentiveNAS and AlphaNet. Their released weights are CC-BY-NC.
"""
