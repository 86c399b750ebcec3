// What ends by itself. Each flow moves the clock of the server and of the clients on.
import assert from "node:assert/strict";
import { totp } from "./totp.mjs";
import { click, client, digits, fragment, hears, mail, move } from "./world.mjs";
import { ok, person, refused, signedIn, signedUp } from "./world.mjs";

const MINUTE = 60;
const DAY = 86_400;

export async function accessTokensEndAndTheClientRefreshes() {
  const made = await signedUp(person());
  const { session: first } = await ok(made.getSession());
  move(13 * MINUTE);
  assert.equal((await ok(made.getSession())).session.access_token, first.access_token, "two minutes are left");
  move(MINUTE);
  const { session: second } = await hears(made, "TOKEN_REFRESHED", () => ok(made.getSession()));
  assert.notEqual(second.access_token, first.access_token);
  assert.ok((await ok(client().getUser(first.access_token))).user, "the old one is good to its end");
  move(2 * MINUTE);
  await refused(client().getUser(first.access_token), 403, "bad_jwt");
  assert.equal((await client().getClaims(first.access_token)).error.name, "AuthInvalidJwtError");
  move(60 * MINUTE);
  assert.equal((await ok(made.getUser())).user.id, first.user.id, "an ended token is refreshed on the way");
  const before = (await ok(client().getClaims(first.access_token, { allowExpired: true }))).claims;
  assert.equal((await ok(made.getClaims())).claims.session_id, before.session_id);
}

export async function aStolenRefreshTokenEndsTheSession() {
  const jo = person();
  const made = await signedUp(jo);
  const { session: stolen } = await ok(made.getSession());
  await ok(made.refreshSession());
  const { session: newest } = await ok(made.refreshSession());
  move(11);
  await refused(client().refreshSession(stolen), 400, "refresh_token_already_used");
  await refused(client().refreshSession(newest), 400, "refresh_token_not_found");
  assert.equal((await made.getUser()).error.name, "AuthSessionMissingError");
  await mail(jo.email, "refresh_reuse");
}

export async function anOldSignInNeedsANonce() {
  const jo = person();
  const made = await signedUp(jo);
  move(16 * MINUTE);
  const change = { password: "staple battery horse", current_password: jo.password };
  await refused(made.updateUser(change), 400, "reauthentication_needed");
  await refused(made.mfa.enroll({ factorType: "totp" }), 403, "reauthentication_needed");
  await ok(made.reauthenticate());
  await ok(made.updateUser({ ...change, nonce: digits(await mail(jo.email, "reauthentication")) }));
  await signedIn({ ...jo, password: change.password });
}

export async function codesAndLinksEnd() {
  const { email } = person();
  const made = client({ flowType: "pkce" });
  await ok(made.signInWithOtp({ email }));
  const letter = await mail(email, "magiclink");
  move(11 * MINUTE);
  await refused(made.verifyOtp({ type: "email", email, token: digits(letter) }), 403, "otp_expired");
  const where = await click(letter);
  assert.equal(where.searchParams.get("error_code") ?? fragment(where).error_code, "otp_expired");

  await ok(made.signInWithOtp({ email }));
  const code = (await click(await mail(email, "magiclink"))).searchParams.get("code");
  move(6 * MINUTE);
  await refused(made.exchangeCodeForSession(code), 422, "flow_state_expired");
}

export async function challengesEnd() {
  const made = await signedUp(person());
  const { id, totp: { secret } } = await ok(made.mfa.enroll({ factorType: "totp" }));
  await ok(made.mfa.challengeAndVerify({ factorId: id, code: totp(secret) }));
  const challenge = await ok(made.mfa.challenge({ factorId: id }));
  assert.ok(Math.abs(challenge.expires_at - Date.now() / 1000 - 5 * MINUTE) < 30);
  move(6 * MINUTE);
  const answer = { factorId: id, challengeId: challenge.id, code: totp(secret) };
  await refused(made.mfa.verify(answer), 422, "mfa_challenge_expired");
  await ok(made.mfa.challengeAndVerify({ factorId: id, code: totp(secret) }));
}

export async function unusedSessionsEnd() {
  const jo = person();
  const made = await signedUp(jo);
  move(31 * DAY);
  await refused(made.refreshSession(), 400, "session_expired");
  assert.equal((await ok(made.getSession())).session, null, "the client forgets it");
  await signedIn(jo);
}
