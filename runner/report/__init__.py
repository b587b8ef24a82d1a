"""The reports of `haven report`: validation, documentation, data flow and Elementary's."""

from runner.report.reports import REPORTS, build_reports
from runner.report.result import ReportResult

__all__ = ["REPORTS", "ReportResult", "build_reports"]
