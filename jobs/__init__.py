"""Start a job from the command line."""
