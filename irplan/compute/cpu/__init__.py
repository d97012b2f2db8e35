"""Numba kernels: plain arrays in, plain arrays out; imported only when they are needed."""
