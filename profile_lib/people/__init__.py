"""Find the ids of one person from links between ids."""
