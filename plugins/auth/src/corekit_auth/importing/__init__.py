"""Taking over the accounts of a Supabase project from a dump of its database."""

from corekit_auth.importing.run import Importing, Report

__all__ = ["Importing", "Report"]
