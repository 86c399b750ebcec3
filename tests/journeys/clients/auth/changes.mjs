// What people change of their own account.
import assert from "node:assert/strict";
import { SITE, click, client, digits, fragment, hears, mail, next } from "./world.mjs";
import { ok, person, refused, signedIn, signedUp } from "./world.mjs";

const NEW = "staple battery horse";

export async function metadataIsMerged() {
  const made = await signedUp({ ...person(), options: { data: { name: "Jo", town: "Aachen" } } });
  const { user } = await hears(made, "USER_UPDATED", () => ok(made.updateUser({ data: { town: "Bonn" } })));
  assert.deepEqual([user.user_metadata.name, user.user_metadata.town], ["Jo", "Bonn"]);
  assert.equal((await ok(made.refreshSession())).user.user_metadata.town, "Bonn");
  assert.equal((await ok(made.getClaims())).claims.user_metadata.town, "Bonn");
}

export async function anotherPassword() {
  const jo = person();
  const made = await signedUp(jo);
  const other = await signedIn(jo);
  await refused(made.updateUser({ password: NEW }), 400, "current_password_required");
  await refused(made.updateUser({ password: NEW, current_password: "not this one" }), 400, "current_password_invalid");
  await refused(made.updateUser({ password: jo.password, current_password: jo.password }), 422, "same_password");
  await ok(made.updateUser({ password: NEW, current_password: jo.password }));
  await mail(jo.email, "password_changed");
  assert.equal((await ok(made.getUser())).user.email, jo.email, "who changed it stays signed in");
  assert.equal((await other.getUser()).error.name, "AuthSessionMissingError", "and nobody else");
  await refused(client().signInWithPassword(jo), 400, "invalid_credentials");
  await signedIn({ ...jo, password: NEW });
}

export async function anotherPasswordWithANonce() {
  const jo = person();
  const made = await signedUp(jo);
  await ok(made.reauthenticate());
  const nonce = digits(await mail(jo.email, "reauthentication"));
  const change = { password: NEW, current_password: jo.password };
  await refused(made.updateUser({ ...change, nonce: next(nonce) }), 422, "reauthentication_not_valid");
  await ok(made.updateUser({ ...change, nonce }));
  const back = { password: jo.password, current_password: NEW, nonce };
  await refused(made.updateUser(back), 422, "reauthentication_not_valid");
  await signedIn({ ...jo, password: NEW });
}

export async function anotherAddressIsConfirmedByBoth() {
  const [jo, { email }] = [person(), person("new")];
  const made = await signedUp(jo);
  const { user } = await ok(made.updateUser({ email }));
  assert.deepEqual([user.email, user.new_email], [jo.email, email]);
  assert.ok(user.email_change_sent_at);
  const [old, young] = [await mail(jo.email, "email_change_current"), await mail(email, "email_change_new")];
  const half = await ok(made.verifyOtp({ type: "email_change", email: jo.email, token: digits(old) }));
  assert.deepEqual([half.user, half.session], [null, null]);
  assert.equal((await ok(made.getUser())).user.email, jo.email, "one is not enough");
  const whole = await ok(made.verifyOtp({ type: "email_change", email, token: digits(young) }));
  assert.deepEqual([whole.user.email, whole.user.new_email ?? ""], [email, ""]);
  assert.equal(whole.user.identities[0].email, email);
  await mail(jo.email, "email_changed");
  await refused(client().signInWithPassword(jo), 400, "invalid_credentials");
  await signedIn({ ...jo, email });
}

async function clickBoth(flowType) {
  const [jo, { email }] = [person(), person("new")];
  const made = await signedUp(jo, { flowType });
  await ok(made.updateUser({ email }, { emailRedirectTo: `${SITE}/settings` }));
  const said = await click(await mail(jo.email, "email_change_current"));
  assert.equal(said.pathname, "/settings");
  assert.match(said.searchParams.get("message") ?? fragment(said).message, /^Confirmation link accepted/);
  return { email, made, where: await click(await mail(email, "email_change_new")) };
}

export async function anotherAddressByLinks() {
  const { email, made, where } = await clickBoth("implicit");
  assert.equal(where.pathname, "/settings");
  assert.equal((await ok(made.setSession(fragment(where)))).user.email, email);
}

export async function anotherAddressByLinksWithPkce() {
  const { email, made, where } = await clickBoth("pkce");
  assert.ok(where.searchParams.get("code"));
  // auth-js forgets its verifier as it keeps the answer of updateUser, so nobody can use the code; the address stands.
  assert.equal((await ok(made.refreshSession())).user.email, email);
}

export async function aTakenAddressIsNotGivenAway() {
  const [jo, owner] = [person(), person("owner")];
  await signedUp(owner);
  const made = await signedUp(jo);
  const { user } = await ok(made.updateUser({ email: owner.email }));
  assert.equal(user.new_email, owner.email, "as for a free one");
  await mail(owner.email, "already_registered");
  const code = digits(await mail(jo.email, "email_change_current"));
  await made.verifyOtp({ type: "email_change", email: jo.email, token: code });
  assert.equal((await ok(made.getUser())).user.email, jo.email);
  await signedIn(owner);
}
