"""Turn the events of any source into clean events and sessions."""
