#!/usr/bin/env bash
# Build the environment in a folder (default .venv): the locked packages, Petastorm, the default
# encoder, Horovod from source and Delta's jars. Used on a laptop, in a cluster's image and, with
# --into-current-python, in a Databricks init script, where the runtime brings Spark, Delta, Horovod
# and Petastorm, so that only missing packages are added.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
uv_version=0.13.9
horovod_version=0.28.1

usage="usage: install.sh [FOLDER | --into-current-python | --check]"
say() { printf '%s\n' "install: $*"; }
fail() { printf '%s\n' "install: $*" >&2; exit 1; }

check_prerequisites() {
    local missing=0 java_version
    need() { printf '%s\n' "missing: $1" >&2; missing=1; }
    python3.11 -c 'import venv, ensurepip' 2>/dev/null \
        || need "Python 3.11 with venv (command python3.11): apt-get install python3.11 python3.11-venv, or pyenv install 3.11"
    # "1.8.0_x" is Java 8; "17.0.15" is Java 17.
    java_version=$({ "${JAVA_HOME:+$JAVA_HOME/bin/}java" -version 2>&1 || true; } | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${java_version:-0}" -ge 17 ] 2>/dev/null \
        || need "Java 17 (found: ${java_version:-none}): apt-get install openjdk-17-jre-headless, then set JAVA_HOME if it is not the default"
    command -v g++ >/dev/null || need "g++ 10 or later: apt-get install g++"
    command -v make >/dev/null || need "make: apt-get install make"
    [ "$missing" -eq 0 ] || fail "install what is missing, then run the same command again; nothing was downloaded"
}

link_nccl() { # $1: the environment's bin folder, $2: the folder to link torch's NCCL into
    local package
    package=$("$1/python" -c 'import nvidia.nccl; print(*nvidia.nccl.__path__)' 2>/dev/null) || return 1
    mkdir "$2/lib"
    ln -s "$package/include" "$2/include"
    ln -s "$package/lib/libnccl.so.2" "$2/lib/libnccl.so"
}

install_horovod() { # $1: the environment's bin folder
    local gpu nccl
    nccl=$(mktemp -d)
    if command -v nvcc >/dev/null && link_nccl "$1" "$nccl"; then
        gpu=(HOROVOD_GPU_OPERATIONS=NCCL HOROVOD_NCCL_LINK=SHARED HOROVOD_NCCL_HOME="$nccl")
        say "building Horovod $horovod_version with torch's NCCL and Gloo"
    else
        gpu=(HOROVOD_CPU_OPERATIONS=GLOO)
        say "building Horovod $horovod_version with Gloo (4 to 8 minutes on 2 cores, then cached)"
    fi
    env PATH="$1:$PATH" CXX="$here/g++20" CMAKE_POLICY_VERSION_MINIMUM=3.5 \
        HOROVOD_WITH_PYTORCH=1 HOROVOD_WITHOUT_TENSORFLOW=1 HOROVOD_WITHOUT_MXNET=1 \
        HOROVOD_WITH_GLOO=1 HOROVOD_WITHOUT_MPI=1 "${gpu[@]}" \
        "$1/uv" pip install --python "$1/python" --no-build-isolation --no-deps "horovod==$horovod_version"
    rm -r "$nccl"
}

install_jars() { # copy Delta's jars to Spark's own, so that every session of this environment finds them
    "$1/python" - <<'PY'
import shutil
from importlib.metadata import version
from pathlib import Path

import pyspark

jars = Path(pyspark.__file__).parent / "jars"
wanted = f"delta-spark_2.13-{version('delta-spark')}.jar"
if not (jars / wanted).exists():
    from delta import configure_spark_with_delta_pip
    from pyspark.sql import SparkSession

    ivy = jars.parent / "ivy"
    builder = SparkSession.builder.master("local[1]").config("spark.jars.ivy", str(ivy)).config("spark.ui.enabled", "false")
    configure_spark_with_delta_pip(builder).getOrCreate().stop()
    for jar in sorted((ivy / "jars").glob("io.delta_*.jar")):
        shutil.copy(jar, jars / jar.name.removeprefix("io.delta_"))
    shutil.rmtree(ivy)
    if not (jars / wanted).exists():
        raise SystemExit(f"install: Delta's jar {wanted} was not resolved from Maven")
PY
}

case "${1:-.venv}" in
    --check)
        check_prerequisites
        ;;
    --into-current-python) # Databricks: the runtime fixes the versions; only missing packages are added
        python3 -m pip install --no-deps -r <(grep -v '^petastorm' "$here/no_deps.txt")
        python3 -m pip install --no-deps snowballstemmer opencc regex phonenumbers python-stdnum jieba peft optuna colorlog \
            openvino openvino-telemetry nncf natsort ninja pydot tabulate
        ;;
    -*)
        fail "$usage"
        ;;
    *)
        check_prerequisites
        folder=${1:-.venv}
        [ -x "$folder/bin/python" ] || python3.11 -m venv "$folder"
        bin=$(cd "$folder/bin" && pwd)
        "$bin/uv" --version 2>/dev/null | grep -q " $uv_version" || "$bin/python" -m pip install -q "uv==$uv_version"
        say "installing the locked packages"
        "$bin/uv" pip install --python "$bin/python" -r "$here/requirements.lock"
        "$bin/uv" pip install --python "$bin/python" --no-deps -r "$here/no_deps.txt"
        "$bin/python" -c 'import horovod.torch' 2>/dev/null || install_horovod "$bin"
        "$bin/uv" pip install --python "$bin/python" --no-deps --no-build-isolation -e "$here/../.."
        say "fetching Delta's jars"
        install_jars "$bin"
        "$bin/python" -c 'import horovod.torch as h; assert h.gloo_built()'
        say "ready in $folder"
        ;;
esac
