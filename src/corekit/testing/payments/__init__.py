"""What every provider of payments keeps to, as tests: subclass `ProviderContract` and give it a rig of yours.

    class TestAcme(ProviderContract):
        @pytest.fixture
        async def rig(self) -> AsyncGenerator[ProviderRig]:
            async with AcmeRig() as rig:
                yield rig

What a provider cannot do by its `capabilities` is skipped, and what its stand-in cannot judge by the rig's `unjudged`,
which says why. A row that is left out in another way fails.
"""

from corekit.testing.payments.rig import ProviderRig, Row, Trouble, Verb
from corekit.testing.payments.steps import a_call, authorized
from corekit.testing.payments.suite import ProviderContract

__all__ = ["ProviderContract", "ProviderRig", "Row", "Trouble", "Verb", "a_call", "authorized"]
