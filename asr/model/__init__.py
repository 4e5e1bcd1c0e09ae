"""Feature frames become log-probabilities of tokens."""
