"""Import each module of this folder, so that its numeric features are registered.

A model reads the features in the order of registration. The modules named here come first, in this
order; any other module of the folder follows by name.
"""

from importlib import import_module

from profile_lib.registry import import_modules

ORDERED_MODULES = ("kind_counts", "funnel", "event_counts", "items", "money", "ratings", "times")

for _name in ORDERED_MODULES:
    import_module(f"{__name__}.{_name}")
import_modules(__name__)
