"""Log-probabilities become tokens, and tokens words."""
