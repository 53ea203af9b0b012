"""Report the quality of ingested data: a page for people and metrics for Prometheus."""
