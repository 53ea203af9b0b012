"""The model: behaviour text and numbers in, an interest vector and a logit for each task out."""
