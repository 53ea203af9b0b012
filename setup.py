"""Declare the package, its dependencies and extras.

`pip install .` installs everything that pip can resolve. conf/environment/install.sh adds Petastorm
(its metadata contradicts torch's), Horovod (which has to be built) and the default encoder.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
CONF_PACKAGES = {  # conf/ stands at the top level of a checkout, and inside the package of a wheel
    "profile_lib.conf": "conf",
    "profile_lib.conf.base": "conf/base",
    "profile_lib.conf.sources": "conf/sources",
}

setup(
    name="clickstream-profiles",
    version="0.1.0",
    description="User profiles from a shop's clickstream: Spark, Delta, Horovod and BERT",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.12",
    packages=[
        *find_packages(include=["profile_lib", "profile_lib.*", "jobs", "jobs.*"]),
        *CONF_PACKAGES,
    ],
    package_dir=CONF_PACKAGES,
    package_data={package: ["*.yaml", "*.properties"] for package in CONF_PACKAGES}
    | {"profile_lib.events.quality_report": ["templates/*.html"]},
    install_requires=[
        "pyspark>=3.5,<4.1",
        "delta-spark>=3.2,<4.1",
        "pyarrow>=14,<15",  # Petastorm 0.13.1 cannot read with 15 or later
        "numpy<2",
        "pandas>=2,<3",
        "pydantic>=2,<3",
        "pyyaml>=6",
        "charset-normalizer>=3.3",  # recognises the encoding of a text when a mapping is drafted
        "jieba>=0.42",
        "snowballstemmer>=2.2",
        "opencc>=1.1.7",  # traditional Chinese to simplified, which jieba's dictionary is in
        "phonenumbers>=9",  # phone numbers in texts, by Google's rules per country
        "python-stdnum>=2",  # check digits of cards, bank accounts and national numbers
        "regex>=2024.4",  # unlike re, it knows scripts, emoji and invisible characters
        "scikit-learn>=1.5",
        "lightgbm>=4.5",  # boosted trees on the numbers; describes its trees, so nothing is pickled
        "torch>=2.4,<2.14",  # Horovod 0.28.1 is known to build against its headers
        "transformers>=5,<6",
        "safetensors>=0.4",
        "psutil>=5.9",
        "filelock>=3.13",
        "peft>=0.17",
        "matplotlib>=3.8",
        "mlflow>=3,<4",
        "optuna>=4",
        "tensorboard>=2.18",
        "prometheus-client>=0.20",
        "jinja2>=3.1",  # the page of the report on data quality
        "faiss-cpu>=1.9",  # nearest vectors, exact and by a graph
        "scipy>=1.11",
    ],
    extras_require={
        "petastorm": [  # Petastorm's imports; the package itself is installed without dependencies
            "dill",
            "diskcache",
            "fsspec",
            "future",
            "packaging",
            "pyzmq",
            "six",
        ],
        "horovod": ["cloudpickle", "cmake", "setuptools==80.9.0", "wheel", "packaging"],
        "int8": ["openvino>=2025", "nncf>=2.17"],
        "wandb": ["wandb>=0.19"],
        "dev": [
            "build",
            "duckdb>=1.1",
            "hypothesis>=6.100",
            "import-linter>=2",
            "implicit>=0.7",  # benchmarks/recommend.py compares with it
            "mypy>=1.11",
            "pytest>=8,<9.2",  # pytest-xdist 3.8 ignores groups of tests under 9.2
            "pytest-xdist>=3.6",  # make test runs two processes
            "ruff>=0.6",
            "sentence-transformers>=5",  # benchmarks/inference.py compares with it
            "pandas-stubs",
            "types-psutil",
            "types-PyYAML",
        ],
        "docs": ["mkdocs>=1.6", "mkdocs-material>=9.5"],
    },
)
