"""Measure smaller models: head importance, int8 and the comparison with a teacher."""
