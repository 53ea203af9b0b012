#!/bin/sh
# Print this machine's GPUs as Spark expects them. Set spark.worker.resource.gpu.discoveryScript to this
# file on a standalone worker, and spark.executor.resource.gpu.discoveryScript elsewhere.
nvidia-smi --query-gpu=index --format=csv,noheader | awk '
    { addresses = addresses (NR > 1 ? ", " : "") "\"" $1 "\"" }
    END { print "{\"name\": \"gpu\", \"addresses\": [" addresses "]}" }'
