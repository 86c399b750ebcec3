// How refusals look through the client.
import assert from "node:assert/strict";
import { isAuthApiError, isAuthWeakPasswordError } from "@supabase/auth-js";
import { backend, client, ok, person, refused, signedUp } from "./world.mjs";

export async function wrongPasswordsAndNobodyLookTheSame() {
  const jo = person();
  await signedUp(jo);
  const wrong = client().signInWithPassword({ ...jo, password: "not this one" });
  const one = await refused(wrong, 400, "invalid_credentials");
  const two = await refused(client().signInWithPassword(person("nobody")), 400, "invalid_credentials");
  assert.ok(isAuthApiError(one));
  assert.equal(one.name, "AuthApiError");
  assert.equal(one.message, "Invalid login credentials");
  assert.deepEqual(one.toJSON(), two.toJSON());
}

export async function weakPasswordsSayWhy() {
  const jo = person("margarethe");
  const made = await signedUp(jo);
  for (const [password, reasons] of [
    ["short", ["length"]],
    ["password1", ["common"]],
    [jo.email, ["context"]],
  ]) {
    const error = (await client().signUp({ email: jo.email, password })).error;
    assert.ok(isAuthWeakPasswordError(error), password);
    assert.deepEqual([error.status, error.code], [422, "weak_password"]);
    assert.deepEqual(error.reasons, reasons, password);
  }
  const weak = (await made.updateUser({ password: "short", current_password: jo.password })).error;
  assert.deepEqual([weak.name, weak.reasons], ["AuthWeakPasswordError", ["length"]]);
}

export async function badInputNamesItsField() {
  const nowhere = { email: "not an address", password: "horse battery staple" };
  const bad = await refused(client().signUp(nowhere), 400, "validation_failed");
  assert.match(bad.message, /email/);
  const made = await signedUp(person());
  const large = await refused(made.updateUser({ data: { text: "x".repeat(5_000) } }), 422, "validation_failed");
  assert.match(large.message, /4096/);
  const forbidden = await made.updateUser({ app_metadata: { plan: "free" } });
  assert.deepEqual([forbidden.error.status, forbidden.error.code], [403, "not_admin"]);
}

export async function tooManyMailsToOneAddress() {
  const { email } = person();
  for (let sent = 0; sent < 5; sent += 1) await ok(client().resetPasswordForEmail(email));
  const error = await refused(client().resetPasswordForEmail(email), 429, "over_email_send_rate_limit");
  assert.ok(isAuthApiError(error));
}

export async function whatIsOffSaysSo() {
  await refused(client().signInWithSSO({ domain: "example.com" }), 404, "saml_provider_disabled");
  await refused(client().signInWithOtp({ phone: "not a number" }), 400, "validation_failed");
  await refused(backend().oauth.listClients(), 404, "feature_disabled");
  const wallet = { chain: "ethereum", message: "x".repeat(64), signature: `0x${"0".repeat(130)}` };
  await refused(client().signInWithWeb3(wallet), 422, "web3_provider_disabled");
  const passkeys = await signedUp(person(), { experimental: { passkey: true } });
  await refused(passkeys.passkey.list(), 404, "passkey_disabled");
}

export async function withoutASession() {
  const made = client();
  for (const { error } of [await made.getUser(), await made.updateUser({ data: {} }), await made.refreshSession()])
    assert.equal(error.name, "AuthSessionMissingError");
  await refused(client().getUser("not.a.jwt"), 403, "bad_jwt");
  const pkce = client({ flowType: "pkce" });
  await ok(pkce.signInWithOtp(person()));
  await refused(pkce.exchangeCodeForSession(crypto.randomUUID()), 404, "flow_state_not_found");
}
