"""A trained model at work: arrays in, vectors, probabilities and reasons out."""
