"""Register every source format of this package.

To add a format, add a module here with one class under `@source_format("its name")`.
"""

import importlib
import pkgutil

for module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{module.name}")
