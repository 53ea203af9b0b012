"""Recommend items to users: find candidates, rank them, list them with reasons."""
