// Password, refresh, sign-out, and tokens that are verified without asking.
import assert from "node:assert/strict";
import { auth, client, hears, mail, ok, person, refused, signedIn, signedUp } from "./world.mjs";

export async function fromSignInToSignOut() {
  const jo = person();
  await signedUp({ ...jo, options: { data: { name: "Jo" } } });
  const made = client();
  const { session, user } = await hears(made, "SIGNED_IN", () => ok(made.signInWithPassword(jo)));
  assert.equal(session.token_type, "bearer");
  assert.equal(session.expires_in, 900);
  assert.equal(user.email, jo.email);
  assert.equal(user.user_metadata.name, "Jo");
  assert.equal(user.role, "authenticated");
  assert.ok(user.email_confirmed_at);
  assert.ok(Math.abs(Date.parse(user.last_sign_in_at) - Date.now()) < 60_000);
  assert.deepEqual(user.app_metadata, { provider: "email", providers: ["email"] });
  assert.equal((await ok(made.getUser())).user.id, user.id);
  await mail(jo.email, "new_device");
  await hears(made, "SIGNED_OUT", async () => assert.equal((await made.signOut()).error, null));
  assert.equal((await ok(made.getSession())).session, null);
  const stale = await client().getUser(session.access_token);
  assert.equal(stale.error.name, "AuthSessionMissingError", "auth-js makes this of session_not_found");
  await refused(client().refreshSession(session), 400, "refresh_token_not_found");
}

export async function aRefreshGivesNewTokens() {
  const made = await signedUp(person());
  const before = (await ok(made.getSession())).session;
  const { session } = await hears(made, "TOKEN_REFRESHED", () => ok(made.refreshSession()));
  assert.notEqual(session.refresh_token, before.refresh_token);
  assert.equal(session.user.id, before.user.id);
  assert.deepEqual((await ok(made.getSession())).session.refresh_token, session.refresh_token);
  const lost = await ok(client().refreshSession(before));
  assert.equal(lost.session.refresh_token, session.refresh_token, "an answer that was lost is given again");
  const others = await Promise.all([1, 2, 3].map(() => ok(client().refreshSession(session))));
  assert.equal(new Set(others.map((one) => one.session.refresh_token)).size, 1, "tabs at once share one token");
  const carried = client();
  const set = await ok(carried.setSession(others[0].session));
  assert.equal(set.user.id, before.user.id);
  await refused(client().refreshSession({ refresh_token: "not one of ours" }), 400, "refresh_token_not_found");
}

export async function signOutScopes() {
  const jo = person();
  const phone = await signedUp(jo);
  const [laptop, tablet] = [await signedIn(jo), await signedIn(jo)];
  assert.equal((await laptop.signOut({ scope: "others" })).error, null);
  for (const ended of [phone, tablet]) {
    assert.equal((await ended.getUser()).error.name, "AuthSessionMissingError");
    assert.equal((await ended.getSession()).data.session, null, "the client forgets an ended session");
  }
  assert.equal((await ok(laptop.getUser())).user.email, jo.email);

  const again = await signedIn(jo);
  assert.equal((await again.signOut({ scope: "local" })).error, null);
  assert.equal((await ok(laptop.getUser())).user.email, jo.email, "a local sign-out leaves the other session");

  const third = await signedIn(jo);
  assert.equal((await third.signOut({ scope: "global" })).error, null);
  assert.equal((await laptop.getUser()).error.name, "AuthSessionMissingError");
}

export async function claimsAreVerifiedLocally() {
  const asked = [];
  const counting = (input, init) => {
    asked.push(String(input));
    return fetch(input, init);
  };
  const jo = person();
  const made = await signedUp(jo, { fetch: counting, storageKey: "alone" }); // clients of one key share what they read
  const { user } = (await ok(made.getSession())).session;
  await ok(made.getClaims());
  assert.equal(asked.at(-1), `${auth}/.well-known/jwks.json`, "the keys are read once");
  asked.length = 0;
  const { claims, header } = await ok(made.getClaims());
  assert.deepEqual(asked, [], "and then no request is made");
  assert.deepEqual([header.alg, header.typ], ["ES256", "JWT"]);
  assert.deepEqual([claims.sub, claims.email, claims.role], [user.id, jo.email, "authenticated"]);
  assert.deepEqual([claims.iss, claims.aud], [auth, "authenticated"]);
  assert.deepEqual([claims.aal, claims.is_anonymous], ["aal1", false]);
  assert.equal(claims.exp - claims.iat, 900);
  assert.ok(claims.session_id);

  const token = (await ok(made.getSession())).session.access_token;
  const [head, body, signature] = token.split(".");
  const raised = { ...JSON.parse(Buffer.from(body, "base64url")), role: "service_role" };
  const forged = [head, Buffer.from(JSON.stringify(raised)).toString("base64url"), signature].join(".");
  assert.equal((await made.getClaims(forged)).error.name, "AuthInvalidJwtError");
  await refused(client().getUser(forged), 403, "bad_jwt");
}
