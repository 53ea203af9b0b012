"""Import each module of this folder, so that its numeric features are registered.

A model reads the features in the order of registration. The modules named here come first, in this
order; any other module of the folder follows by name.
"""

from importlib import import_module
from pkgutil import iter_modules

ORDERED_MODULES = ("kind_counts", "funnel", "event_counts", "items", "money", "ratings", "times")

_found_modules = sorted(module.name for module in iter_modules(__path__))
for _name in (*ORDERED_MODULES, *(n for n in _found_modules if n not in ORDERED_MODULES)):
    import_module(f"{__name__}.{_name}")
