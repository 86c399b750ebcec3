"""What every realtime client must see, whatever its version and codec, on one server and on two."""

from typing import Any

FLOWS: dict[str, Any] = {
    "connect": {"client": True, "own": [True]},
    "messages": {
        "recoverable": True,
        "positioned": True,
        "sent": [1, 2, 3],
        "heard": [[1, "one"], [2, "two"], [3, "three"]],
    },
    "history": {"all": [1, 2, 3], "newest": [3, 2], "after": [2, 3], "position": 3, "otherEpoch": 112},
    "signals": {"heard": [["ann", {"typing": True}], ["ben", {"typing": False}]], "onMessages": 103},
    "presence": {"who": ["ann", "ben"], "named": True, "counted": [2, 2], "left": ["ann"], "onMessages": 108},
    "calls": {
        "repeated": [False, True],
        "same": True,
        "conversation": ["room", "member"],
        "page": ["four", "three"],
        "listed": True,
    },
    "burst": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    "errors": {
        "namespace": 102,
        "spelling": 102,
        "otherPrefix": 102,
        "plainId": 102,
        "long": 107,
        "stranger": 103,
        "somebodysOwn": 103,
        "method": 104,
        "field": 107,
        "notTheirs": 1001,
    },
    "refresh": {"connecting": [0], "called": True},
    "expired": {"asked": 1},
    "refused": {"code": 3500, "state": "disconnected"},
    "removed": {"code": 2000, "state": "unsubscribed"},
    "signedOut": {"code": 3500},
}
BACK = {"connection": "connected", "subscription": "subscribed"}
DISTURBANCES: dict[str, Any] = {
    "cut": {"recovered": True, "wasRecovering": True, "heard": [1, 2, 3, 4]},
    "killed": {"recovered": True, "wasRecovering": True, "heard": [1, 2, 3, 4]},
    "drained": {"told": [3001], "recovered": True, "wasRecovering": True, "heard": [1, 2, 3, 4]},
    "tooFar": {"recovered": False, "wasRecovering": True, "position": 12, "heard": [13]},
    "stated": {"loaded": [0, 12], "heard": [13]},
}
BETWEEN: dict[str, Any] = {"busLost": {"early": [], "heard": [1, 2, 3, 4], "again": 0}}
