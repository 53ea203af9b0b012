"""Read and write the declared tables as Delta tables."""
