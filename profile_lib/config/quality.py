"""Declare the settings of the report on data quality."""

from pydantic import Field, model_validator

from profile_lib.config.section import Amount, Count, Section


class QualitySettings(Section):
    """Report the quality of ingested data."""

    report: str | None
    metrics: str | None = Field(pattern=r"\.prom$")
    days: Count
    min_rows: Count
    warn_psi: Amount
    alarm_psi: Amount

    @model_validator(mode="after")
    def _check_order(self) -> "QualitySettings":
        if self.warn_psi > self.alarm_psi:
            raise ValueError(
                f"found warn_psi {self.warn_psi:g} above alarm_psi {self.alarm_psi:g}, wanted it "
                "at or below"
            )
        return self
