"""What every provider of payments keeps to, as tests: subclass `ProviderContract` and give it a rig of yours.

    class TestAcme(ProviderContract):
        @pytest.fixture
        async def rig(self) -> AsyncGenerator[ProviderRig]:
            async with AcmeRig() as rig:
                yield rig

What a provider cannot do by its `capabilities` is skipped, as is trouble that its rig cannot make.
"""

from corekit.testing.payments.rig import ProviderRig, Trouble, Verb
from corekit.testing.payments.steps import a_call, authorized
from corekit.testing.payments.suite import ProviderContract

__all__ = ["ProviderContract", "ProviderRig", "Trouble", "Verb", "a_call", "authorized"]
