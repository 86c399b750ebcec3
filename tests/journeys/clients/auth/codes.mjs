// Codes and links by mail: confirming, signing in, recovering.
import assert from "node:assert/strict";
import { SITE, click, client, digits, fragment, hears, letters, link, mail, next } from "./world.mjs";
import { ok, person, refused, signedUp } from "./world.mjs";

const PKCE = { flowType: "pkce" };

export async function aSignUpIsConfirmedByItsCode() {
  const jo = person();
  const made = client();
  const { user, session } = await ok(made.signUp({ ...jo, options: { data: { name: "Jo" } } }));
  assert.equal(session, null);
  assert.deepEqual([user.email, user.user_metadata.name], [jo.email, "Jo"]);
  assert.equal(user.email_confirmed_at, undefined);
  assert.ok(user.confirmation_sent_at);
  await refused(client().signInWithPassword(jo), 400, "email_not_confirmed");
  const first = digits(await mail(jo.email, "confirmation"));
  await ok(made.resend({ type: "signup", email: jo.email }));
  const second = digits(await mail(jo.email, "confirmation"));
  const enter = (token) => made.verifyOtp({ type: "signup", email: jo.email, token });
  if (first !== second) await refused(enter(first), 403, "otp_expired");
  const confirmed = await ok(enter(second));
  assert.equal(confirmed.user.id, user.id);
  assert.ok(confirmed.user.email_confirmed_at);
  assert.equal((await ok(client().signInWithPassword(jo))).user.id, user.id);
}

export async function aSignUpIsConfirmedByItsLink() {
  const jo = person();
  const { user } = await ok(client().signUp({ ...jo, options: { emailRedirectTo: `${SITE}/welcome` } }));
  const letter = await mail(jo.email, "confirmation");
  const where = await click(letter);
  assert.equal(where.origin + where.pathname, `${SITE}/welcome`);
  const given = fragment(where);
  assert.equal(given.token_type, "bearer");
  const made = client();
  assert.equal((await ok(made.setSession(given))).user.id, user.id);
  const again = fragment(await click(letter));
  assert.deepEqual([again.error, again.error_code], ["access_denied", "otp_expired"], "a link is good once");
}

export async function aLinkLeadsToListedPlacesAlone() {
  const jo = person();
  await ok(client().signUp({ ...jo, options: { emailRedirectTo: "https://evil.example.net/" } }));
  const where = await click(await mail(jo.email, "confirmation"));
  assert.equal(where.origin, SITE);
}

export async function whoIsThereAlreadyIsNotTold() {
  const jo = person();
  await signedUp(jo);
  const { user, session } = await ok(client().signUp({ ...jo, password: "another horse battery" }));
  assert.equal(session, null);
  assert.deepEqual([user.email, user.identities.length], [jo.email, 1]);
  await mail(jo.email, "already_registered");
  await refused(client().signInWithPassword({ ...jo, password: "another horse battery" }), 400, "invalid_credentials");
}

export async function oneSignsInByCode() {
  const { email } = person();
  const made = client();
  const asked = await ok(made.signInWithOtp({ email, options: { data: { name: "Jo" } } }));
  assert.deepEqual(asked, { user: null, session: null });
  const token = digits(await mail(email, "magiclink"));
  await refused(made.verifyOtp({ type: "email", email, token: next(token) }), 403, "otp_expired");
  const { user, session } = await hears(made, "SIGNED_IN", () => ok(made.verifyOtp({ type: "email", email, token })));
  assert.ok(session.access_token);
  assert.equal(user.user_metadata.name, "Jo");
  await refused(made.verifyOtp({ type: "email", email, token }), 403, "otp_expired");
  const known = client();
  await ok(known.signInWithOtp({ email, options: { shouldCreateUser: false } }));
  const again = await ok(known.verifyOtp({ type: "email", email, token: digits(await mail(email, "magiclink")) }));
  assert.equal(again.user.id, user.id);
  assert.equal((await ok(known.getClaims())).claims.amr[0].method, "otp");
}

export async function nobodyIsMadeWhereNoneIsWanted() {
  const { email } = person("nobody");
  await ok(client().signInWithOtp({ email, options: { shouldCreateUser: false } }));
  const { email: other } = person();
  await ok(client().signInWithOtp({ email: other }));
  await mail(other, "magiclink"); // asked for later, so the first was dealt with
  assert.deepEqual(await letters(email), []);
}

export async function aMagicLinkWithPkce() {
  const jo = person();
  const { user } = await ok((await signedUp(jo)).getUser());
  const [made, thief] = [client(PKCE), client(PKCE)];
  await ok(made.signInWithOtp({ email: jo.email, options: { emailRedirectTo: `${SITE}/in?next=1` } }));
  const where = await click(await mail(jo.email, "magiclink"));
  assert.deepEqual([where.searchParams.get("next"), where.hash], ["1", ""], "no token in the address");
  const code = where.searchParams.get("code");
  await ok(thief.signInWithOtp({ email: person().email }));
  await refused(thief.exchangeCodeForSession(code), 400, "bad_code_verifier");
  const { session } = await hears(made, "SIGNED_IN", () => ok(made.exchangeCodeForSession(code)));
  assert.equal(session.user.id, user.id);
  assert.equal((await ok(made.getUser())).user.id, user.id);
  assert.equal((await made.exchangeCodeForSession(code)).error.name, "AuthPKCECodeVerifierMissingError");
}

export async function aForgottenPassword() {
  const jo = person();
  const before = await signedUp(jo);
  const made = client(PKCE);
  await ok(made.resetPasswordForEmail(jo.email, { redirectTo: `${SITE}/reset` }));
  const where = await click(await mail(jo.email, "recovery"));
  const code = where.searchParams.get("code");
  const { redirectType } = await hears(made, "PASSWORD_RECOVERY", () => ok(made.exchangeCodeForSession(code)));
  assert.equal(redirectType, "recovery");
  assert.equal((await ok(made.getClaims())).claims.amr[0].method, "recovery");
  const password = "staple battery horse";
  await hears(made, "USER_UPDATED", () => ok(made.updateUser({ password })));
  await mail(jo.email, "password_changed");
  await refused(client().signInWithPassword(jo), 400, "invalid_credentials");
  await ok(client().signInWithPassword({ ...jo, password }));
  assert.equal((await before.getUser()).error.name, "AuthSessionMissingError", "the other sessions ended");

  const other = client();
  await ok(other.resetPasswordForEmail(jo.email));
  const token_hash = link(await mail(jo.email, "recovery")).searchParams.get("token");
  const recovered = await ok(other.verifyOtp({ type: "recovery", token_hash }));
  assert.equal(recovered.user.email, jo.email);
}

export async function unknownAddressesAreAnsweredAsKnownOnes() {
  const known = person();
  await signedUp(known);
  const answers = [];
  for (const { email } of [known, person("nobody")]) {
    const made = client();
    const options = { shouldCreateUser: false };
    answers.push([
      await made.resetPasswordForEmail(email),
      await made.signInWithOtp({ email, options }),
      await made.resend({ type: "signup", email }),
    ]);
  }
  assert.deepEqual(answers[0], answers[1]);
  assert.equal(answers[0][0].error, null);
}
