// What a backend does with its service key.
import assert from "node:assert/strict";
import { totp } from "./totp.mjs";
import { SITE, auth, backend, click, client, fragment, mail } from "./world.mjs";
import { ok, person, refused, signedIn, signedUp } from "./world.mjs";

export async function fromMakingToDeleting() {
  const [admin, jo] = [backend(), person()];
  const given = { ...jo, email_confirm: true, user_metadata: { name: "Jo" }, app_metadata: { plan: "x" } };
  const { user } = await ok(admin.createUser(given));
  assert.deepEqual([user.email, user.user_metadata.name, user.app_metadata.plan], [jo.email, "Jo", "x"]);
  assert.ok(user.email_confirmed_at);
  await refused(admin.createUser(given), 422, "email_exists");
  await signedIn(jo);
  assert.equal((await ok(admin.getUserById(user.id))).user.email, jo.email);

  const password = "staple battery horse";
  const changed = await ok(admin.updateUserById(user.id, { password, role: "editor", app_metadata: { plan: "y" } }));
  assert.deepEqual([changed.user.role, changed.user.app_metadata.plan], ["editor", "y"]);
  const made = await signedIn({ ...jo, password });
  assert.equal((await ok(made.getClaims())).claims.app_metadata.plan, "y");

  const banned = await ok(admin.updateUserById(user.id, { ban_duration: "24h" }));
  assert.ok(Date.parse(banned.user.banned_until) > Date.now());
  await refused(client().signInWithPassword({ ...jo, password }), 400, "user_banned");
  assert.ok((await made.getUser()).error);
  await ok(admin.updateUserById(user.id, { ban_duration: "none" }));
  const back = await signedIn({ ...jo, password });

  await ok(admin.deleteUser(user.id));
  await refused(admin.getUserById(user.id), 404, "user_not_found");
  assert.ok((await back.getUser()).error);
  await refused(client().signInWithPassword({ ...jo, password }), 400, "invalid_credentials");
}

export async function softDeletion() {
  const [admin, jo] = [backend(), person()];
  const { user } = await ok(admin.createUser({ ...jo, email_confirm: true }));
  await ok(admin.deleteUser(user.id, true));
  await refused(client().signInWithPassword(jo), 400, "invalid_credentials");
  const { user: next } = await ok(admin.createUser({ ...jo, email_confirm: true }));
  assert.notEqual(next.id, user.id, "the address is free again");
}

export async function listingInPages() {
  const admin = backend();
  const made = await Promise.all([1, 2, 3].map(async () => (await ok(admin.createUser(person("listed")))).user.id));
  const first = await ok(admin.listUsers({ page: 1, perPage: 2 }));
  assert.deepEqual([first.users.length, first.nextPage], [2, 2]);
  assert.ok(first.total >= 3);
  assert.ok((await ok(admin.listUsers({ page: first.nextPage, perPage: 2 }))).users.length >= 1);
  const all = (await ok(admin.listUsers({ perPage: 1000 }))).users.map((one) => one.id);
  for (const id of made) assert.ok(all.includes(id));
}

export async function linksThatAnApplicationSendsItself() {
  const [admin, jo] = [backend(), person()];
  const options = { data: { name: "Jo" }, redirectTo: `${SITE}/in` };
  const made = await ok(admin.generateLink({ type: "signup", ...jo, options }));
  assert.deepEqual([made.user.email, made.properties.verification_type], [jo.email, "signup"]);
  assert.equal(made.properties.redirect_to, `${SITE}/in`);
  assert.ok(made.properties.action_link.startsWith(`${auth}/verify?`));
  const one = client();
  const entered = await ok(one.verifyOtp({ type: "signup", token_hash: made.properties.hashed_token }));
  assert.deepEqual([entered.user.id, entered.user.user_metadata.name], [made.user.id, "Jo"]);
  for (const type of ["magiclink", "recovery"]) {
    const { properties } = await ok(admin.generateLink({ type, email: jo.email }));
    const again = await ok(client().verifyOtp({ type, email: jo.email, token: properties.email_otp }));
    assert.equal(again.user.id, made.user.id);
    await refused(client().verifyOtp({ type, token_hash: properties.hashed_token }), 403, "otp_expired");
  }
  const newEmail = person("new").email;
  for (const type of ["email_change_current", "email_change_new"]) {
    const { properties } = await ok(admin.generateLink({ type, email: jo.email, newEmail }));
    await ok(client().verifyOtp({ type: "email_change", token_hash: properties.hashed_token }));
  }
  assert.equal((await ok(admin.getUserById(made.user.id))).user.email, newEmail);
  await refused(admin.generateLink({ type: "recovery", email: jo.email }), 404, "user_not_found");
}

export async function inviting() {
  const [admin, { email }] = [backend(), person("guest")];
  const { user } = await ok(admin.inviteUserByEmail(email, { data: { name: "Guest" }, redirectTo: `${SITE}/welcome` }));
  assert.deepEqual([user.email, user.user_metadata.name], [email, "Guest"]);
  assert.ok(user.invited_at);
  const where = await click(await mail(email, "invite"));
  assert.equal(where.pathname, "/welcome");
  const made = client();
  assert.equal((await ok(made.setSession(fragment(where)))).user.id, user.id);
  await refused(admin.inviteUserByEmail(email), 422, "email_exists");
  await ok(made.updateUser({ password: "staple battery horse" }));
  await signedIn({ email, password: "staple battery horse" });
}

export async function secondFactorsOfOthers() {
  const [admin, jo] = [backend(), person()];
  const made = await signedUp(jo);
  const { id, totp: { secret } } = await ok(made.mfa.enroll({ factorType: "totp", friendlyName: "app" }));
  await ok(made.mfa.challengeAndVerify({ factorId: id, code: totp(secret) }));
  const userId = (await ok(made.getUser())).user.id;
  const { factors } = await ok(admin.mfa.listFactors({ userId }));
  assert.deepEqual(factors.map((one) => [one.id, one.friendly_name, one.status]), [[id, "app", "verified"]]);
  assert.equal(factors[0].secret, undefined);
  assert.equal((await ok(admin.mfa.deleteFactor({ userId, id }))).data.id, id, "auth-js wraps this one twice");
  assert.deepEqual((await ok(admin.mfa.listFactors({ userId }))).factors, []);
  await refused(admin.mfa.deleteFactor({ userId, id }), 404, "mfa_factor_not_found");
}

export async function signingSomebodyOut() {
  const [admin, jo] = [backend(), person()];
  const [phone, laptop] = [await signedUp(jo), await signedIn(jo)];
  const { access_token: token } = (await ok(phone.getSession())).session;
  assert.equal((await admin.signOut(token, "others")).error, null);
  assert.equal((await laptop.getUser()).error.name, "AuthSessionMissingError");
  assert.equal((await ok(phone.getUser())).user.email, jo.email);
  assert.equal((await admin.signOut(token)).error, null);
  assert.equal((await phone.getUser()).error.name, "AuthSessionMissingError");
}

export async function nobodyElseIsAnAdministrator() {
  const made = await signedUp(person());
  const { access_token: token } = (await ok(made.getSession())).session;
  const nobody = client({ headers: { Authorization: `Bearer ${token}` } }).admin;
  await refused(nobody.listUsers(), 403, "not_admin");
  await refused(client().admin.listUsers(), 403, "bad_jwt");
  await refused(nobody.inviteUserByEmail("x@example.com"), 403, "not_admin");
}
