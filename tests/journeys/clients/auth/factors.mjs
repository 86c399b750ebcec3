// Second factors: from enrolment over aal2 to removal.
import assert from "node:assert/strict";
import { totp } from "./totp.mjs";
import { auth, digits, hears, mail, next, ok, person, refused, signedIn, signedUp } from "./world.mjs";

const level = async (made) => {
  const { currentLevel, nextLevel } = await ok(made.mfa.getAuthenticatorAssuranceLevel());
  return [currentLevel, nextLevel];
};

/** Enrol an authenticator app and verify it; each of its codes is good once. */
async function enrolled(made, friendlyName = "app") {
  const { id, totp: { secret } } = await ok(made.mfa.enroll({ factorType: "totp", friendlyName }));
  const code = totp(secret);
  await ok(made.mfa.challengeAndVerify({ factorId: id, code }));
  return { id, secret, code };
}

export async function fromEnrolmentToAal2() {
  const jo = person();
  const phone = await signedUp(jo);
  const laptop = await signedIn(jo);
  assert.deepEqual(await level(phone), ["aal1", "aal1"]);
  const made = await ok(phone.mfa.enroll({ factorType: "totp", friendlyName: "app", issuer: "Shop" }));
  assert.match(made.totp.qr_code, /^data:image\/svg\+xml;utf-8,<svg /);
  const uri = new URL(made.totp.uri);
  assert.equal(uri.protocol, "otpauth:");
  assert.deepEqual([uri.searchParams.get("issuer"), uri.searchParams.get("secret")], ["Shop", made.totp.secret]);
  const listed = await ok(phone.mfa.listFactors());
  assert.deepEqual([listed.totp, listed.all[0].status], [[], "unverified"], "unverified ones are in `all` alone");

  const challenge = await ok(phone.mfa.challenge({ factorId: made.id }));
  const answer = { factorId: made.id, challengeId: challenge.id, code: totp(made.totp.secret) };
  await refused(phone.mfa.verify({ ...answer, code: next(answer.code) }), 422, "mfa_verification_failed");
  await hears(phone, "MFA_CHALLENGE_VERIFIED", () => ok(phone.mfa.verify(answer)));
  assert.deepEqual(await level(phone), ["aal2", "aal2"]);
  const { currentAuthenticationMethods: methods } = await ok(phone.mfa.getAuthenticatorAssuranceLevel());
  assert.deepEqual(methods.map((one) => one.method), ["totp", "email/signup"]);
  assert.equal((await ok(phone.getClaims())).claims.aal, "aal2");
  assert.deepEqual((await ok(phone.mfa.listFactors())).totp.map((one) => one.friendly_name), ["app"]);
  assert.equal((await ok(phone.refreshSession())).session.user.factors.length, 1);
  assert.deepEqual(await level(phone), ["aal2", "aal2"], "a refresh keeps the level");
  await mail(jo.email, "factor_added");
  assert.equal((await laptop.getUser()).error.name, "AuthSessionMissingError", "weaker sessions ended");
}

export async function fromAal1ToAal2AndBack() {
  const jo = person();
  const { id, secret, code } = await enrolled(await signedUp(jo));
  const made = await signedIn(jo);
  assert.deepEqual(await level(made), ["aal1", "aal2"]);
  await refused(made.mfa.unenroll({ factorId: id }), 422, "insufficient_aal");
  const change = { password: "staple battery horse", current_password: jo.password };
  await refused(made.updateUser(change), 401, "insufficient_aal");
  await refused(made.mfa.challengeAndVerify({ factorId: id, code }), 422, "mfa_verification_failed");
  await ok(made.mfa.challengeAndVerify({ factorId: id, code: totp(secret, 1) }));
  assert.deepEqual(await level(made), ["aal2", "aal2"]);
  assert.equal((await ok(made.mfa.unenroll({ factorId: id }))).id, id);
  assert.deepEqual((await ok(made.mfa.listFactors())).all, []);
  await ok(made.refreshSession());
  assert.deepEqual(await level(made), ["aal1", "aal1"]);
  await mail(jo.email, "factor_removed");
}

export async function whatIsRefusedOfFactors() {
  const made = await signedUp(person());
  await ok(made.mfa.enroll({ factorType: "totp", friendlyName: "app" }));
  await refused(made.mfa.enroll({ factorType: "totp", friendlyName: "app" }), 422, "mfa_factor_name_conflict");
  const key = { factorType: "webauthn", friendlyName: "key" };
  await refused(made.mfa.enroll(key), 422, "mfa_webauthn_enroll_not_enabled");
  const nobodys = crypto.randomUUID();
  await refused(made.mfa.challenge({ factorId: nobodys }), 404, "mfa_factor_not_found");
  const other = await signedUp(person());
  const { id } = (await ok(made.mfa.listFactors())).all[0];
  await refused(other.mfa.unenroll({ factorId: id }), 404, "mfa_factor_not_found");
  assert.equal((await ok(made.mfa.listFactors())).all.length, 1);
}

export async function aPhoneAsSecondFactor() {
  const jo = person();
  const made = await signedUp(jo);
  const number = "+4915112340001";
  const { id } = await ok(made.mfa.enroll({ factorType: "phone", friendlyName: "mine", phone: number }));
  const challenge = await ok(made.mfa.challenge({ factorId: id, channel: "sms" }));
  const code = digits(await mail(number, "mfa"));
  await ok(made.mfa.verify({ factorId: id, challengeId: challenge.id, code }));
  assert.deepEqual(await level(made), ["aal2", "aal2"]);
  assert.deepEqual((await ok(made.mfa.listFactors())).phone.map((one) => one.id), [id]);
}

export async function aRecoveryCodeStandsInForTheApp() {
  const jo = person();
  const made = await signedUp(jo);
  await enrolled(made);
  const post = async (from, path, body) => {
    const { access_token } = (await ok(from.getSession())).session;
    const headers = { Authorization: `Bearer ${access_token}`, "Content-Type": "application/json" };
    return fetch(`${auth}/x/recovery-codes${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  };
  const { codes } = await (await post(made, "", {})).json();
  assert.equal(new Set(codes).size, 10);
  const again = await signedIn(jo);
  const raised = await (await post(again, "/verify", { code: codes[0] })).json();
  await ok(again.setSession(raised));
  assert.deepEqual(await level(again), ["aal2", "aal2"]);
  await mail(jo.email, "recovery_code_used");
  assert.equal((await post(await signedIn(jo), "/verify", { code: codes[0] })).status, 422, "each is good once");
}
