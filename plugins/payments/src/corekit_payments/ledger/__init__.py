"""The ledger: every movement of money as a balanced pair, in the transaction in which it becomes known."""

from corekit_payments.ledger.accounts import LedgerAccount, LedgerQuery, account
from corekit_payments.ledger.invariants import INVARIANTS, broken
from corekit_payments.ledger.posting import payable_of, post, post_fee_of, post_returned, post_unmatched
from corekit_payments.ledger.reading import Balance, balances
from corekit_payments.ledger.rows import LedgerAccountRow, LedgerTransactionRow, PostingRow

__all__ = [
    "INVARIANTS",
    "Balance",
    "LedgerAccount",
    "LedgerAccountRow",
    "LedgerQuery",
    "LedgerTransactionRow",
    "PostingRow",
    "account",
    "balances",
    "broken",
    "payable_of",
    "post",
    "post_fee_of",
    "post_returned",
    "post_unmatched",
]
