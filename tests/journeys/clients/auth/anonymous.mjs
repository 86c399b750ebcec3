// People without an address, and how they get one.
import assert from "node:assert/strict";
import { client, digits, mail, ok, person, refused, signedIn, signedUp } from "./world.mjs";

export async function anAccountWithoutAnAddressIsGivenOne() {
  const jo = person();
  const made = client();
  const { user, session } = await ok(made.signInAnonymously({ options: { data: { cart: 3 } } }));
  assert.deepEqual([user.is_anonymous, user.email, user.user_metadata.cart], [true, "", 3]);
  assert.deepEqual(user.identities ?? [], []);
  assert.ok(session.refresh_token);
  const { claims } = await ok(made.getClaims());
  assert.deepEqual([claims.is_anonymous, claims.role, claims.amr[0].method], [true, "authenticated", "anonymous"]);
  assert.equal((await ok(made.refreshSession())).user.id, user.id);
  await refused(made.mfa.enroll({ factorType: "totp" }), 403, "no_authorization");

  const asked = await ok(made.updateUser({ email: jo.email }));
  assert.equal(asked.user.new_email, jo.email);
  assert.equal((await ok(made.getUser())).user.is_anonymous, true, "until it is confirmed");
  const token = digits(await mail(jo.email, "email_change_new"));
  const converted = await ok(made.verifyOtp({ type: "email_change", email: jo.email, token }));
  assert.deepEqual([converted.user.id, converted.user.email, converted.user.is_anonymous], [user.id, jo.email, false]);
  assert.deepEqual(converted.user.identities.map((one) => one.provider), ["email"]);
  await ok(made.updateUser({ password: jo.password }));
  const later = await signedIn(jo);
  const kept = (await ok(later.getUser())).user;
  assert.deepEqual([kept.id, kept.user_metadata.cart], [user.id, 3]);
  assert.equal((await ok(later.getClaims())).claims.is_anonymous, false);
}

export async function twoOfThemAreTwoPeople() {
  const [one, two] = [client(), client()];
  const users = [await ok(one.signInAnonymously()), await ok(two.signInAnonymously())].map(({ user }) => user.id);
  assert.notEqual(users[0], users[1]);
  assert.equal((await one.signOut()).error, null);
  assert.equal((await ok(two.getUser())).user.id, users[1]);
}

export async function aTakenAddressIsNotTheirs() {
  const owner = person("owner");
  await signedUp(owner);
  const made = client();
  const { user } = await ok(made.signInAnonymously());
  await ok(made.updateUser({ email: owner.email }));
  await mail(owner.email, "already_registered");
  const still = (await ok(made.getUser())).user;
  assert.deepEqual([still.id, still.is_anonymous, still.email], [user.id, true, ""]);
}
