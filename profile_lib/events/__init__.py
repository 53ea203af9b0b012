"""From the events of any source to clean events and sessions."""
