"""Fraud rules: what is looked at before an attempt is sent, and what comes of it."""
