"""Tapedeck's benchmarks: each figure beside a named baseline that is measured in the same run, in the same minutes.

Ratios are what counts; absolute times belong to one machine. Nothing here asserts a time.
"""
