"""Report the quality of the ingested data as a page and as metrics."""

from profile_lib.cli import main
from profile_lib.pipelines.report_quality import run

if __name__ == "__main__":
    main("report_quality", run, __doc__, takes_now=True)
