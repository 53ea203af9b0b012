"""Turn events, profiles and the catalog into what sources and rankers read."""
