"""The multi-layer perceptron and the delta rule, on NumPy alone. Knows no data, no queue and no network of machines.

The names are the text's: z = net input, a = f(z), delta = ∂E/∂z, W[l] joins layer l−1 to l, and the bias b is the
weight of a constant input x₀ = 1. Arrays are row-major, (…, samples, units); the leading axes are a population of
networks, each of which gets the bits that it would get alone.
"""
