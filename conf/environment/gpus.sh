#!/bin/sh
# This machine's GPUs as Spark wants them told: name it in spark.worker.resource.gpu.discoveryScript
# of a standalone worker, in spark.executor.resource.gpu.discoveryScript elsewhere.
nvidia-smi --query-gpu=index --format=csv,noheader | awk '
    { addresses = addresses (NR > 1 ? ", " : "") "\"" $1 "\"" }
    END { print "{\"name\": \"gpu\", \"addresses\": [" addresses "]}" }'
