"""Reconciliation: what providers list is held against our books, and repaired forward or told to a person."""

from corekit_payments.recon.jobs import STREAMS, Reconciliation, ReconciliationJobs
from corekit_payments.recon.rows import ReconciliationRunRow
from corekit_payments.recon.running import Run, Runs, counted

__all__ = ["STREAMS", "Reconciliation", "ReconciliationJobs", "ReconciliationRunRow", "Run", "Runs", "counted"]
