"""The example of a company's own rules for accounts."""

import importlib.util
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from corekit.contracts.audit import Audit, AuditQuery
from corekit.errors import Forbidden
from corekit.testing import make_kit
from corekit_auth import AuthPlugin
from corekit_auth.errors import InvalidCredentials
from corekit_auth.service import AuthService

EXAMPLE = Path(__file__).parents[2] / "examples" / "auth_hooks.py"
ANN, PASSWORD = "ann@acme.example", "correct horse battery"


@pytest.mark.parametrize("closed", [False, True])
async def test_who_is_let_in(tmp_path: Path, *, closed: bool) -> None:
    spec = importlib.util.spec_from_file_location("auth_hooks", EXAMPLE)
    assert spec
    assert spec.loader
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    company = example.CompanyPlugin(example.CompanySettings(domain="acme.example", closed=closed))
    plugins = [AuthPlugin(), company]
    async with make_kit(plugins, tmp_path=tmp_path, settings={"jobs": {"worker": False}}) as kit:
        service, caller = kit.get(AuthService), kit.caller()
        with pytest.raises(Forbidden, match=r"only addresses of acme\.example"):
            await service.grant_by_sign_up(caller, "mallory@example.org", PASSWORD, {})
        signed_up = await service.grant_by_sign_up(caller, ANN, PASSWORD, {})
        assert signed_up.session.user.app_metadata["company"] == "acme.example"
        claims = jwt.decode(signed_up.session.access_token, KeySet.import_key_set(service.keys.jwks)).claims
        assert claims["company"] == "acme.example"
        async with caller.system("auth.sign-in").begin(readonly=True) as ctx:
            page = await kit.get(Audit).find(ctx, AuditQuery(action="company."))
        assert [entry.target and entry.target.id for entry in page.items] == [str(signed_up.session.user.id)]
        if closed:
            with pytest.raises(InvalidCredentials, match=r"We are closed\."):
                await service.grant_by_password(caller, ANN, PASSWORD)
        else:
            assert (await service.grant_by_password(caller, ANN, PASSWORD)).session.user.email == ANN
