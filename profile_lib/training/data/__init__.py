"""Write examples as a snapshot and load it as batches."""
