"""What was shown and what came of it: outcomes, measures, policies, experiments, examples."""
