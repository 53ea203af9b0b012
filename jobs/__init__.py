"""The jobs: each reads tables and writes one table or model."""
