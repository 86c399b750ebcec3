// The unmodified @supabase/auth-js: sign up, log in, refresh, change, log out.
import assert from "node:assert/strict";
import { GoTrueClient } from "@supabase/auth-js";

const base = process.argv[2];
const email = `js-${crypto.randomUUID()}@example.com`;
const password = crypto.randomUUID();

function client() {
  return new GoTrueClient({ url: `${base}/auth/v1`, headers: { apikey: "anon" }, persistSession: true, autoRefreshToken: false });
}

function ok({ data, error }) {
  assert.equal(error, null);
  return data;
}

const first = client();
const signedUp = ok(await first.signUp({ email, password, options: { data: { name: "Jo" } } }));
assert.equal(signedUp.user.email, email);
assert.ok(signedUp.session.refresh_token);
assert.equal(signedUp.user.user_metadata.name, "Jo");

const wrong = await client().signInWithPassword({ email, password: "not this one" });
assert.equal(wrong.error.code, "invalid_credentials");
assert.equal(wrong.error.status, 400);

const second = client();
const session = ok(await second.signInWithPassword({ email, password })).session;
assert.equal(session.token_type, "bearer");
assert.equal(ok(await second.getUser()).user.id, signedUp.user.id);

const claims = ok(await second.getClaims()).claims;
assert.equal(claims.sub, signedUp.user.id);
assert.equal(claims.aal, "aal1");

const refreshed = ok(await second.refreshSession()).session;
assert.notEqual(refreshed.refresh_token, session.refresh_token);
const changed = ok(await second.updateUser({ data: { name: "Joe" } }));
assert.equal(changed.user.user_metadata.name, "Joe");

ok({ data: null, ...(await second.signOut({ scope: "local" })) });
const stale = await client().getUser(refreshed.access_token);
assert.equal(stale.error.name, "AuthSessionMissingError", "auth-js makes this of session_not_found");
const dead = await client().refreshSession({ refresh_token: refreshed.refresh_token });
assert.equal(dead.error.code, "refresh_token_not_found");
assert.equal(ok(await first.getUser()).user.id, signedUp.user.id, "a local log-out leaves the other session");

ok({ data: null, ...(await first.signOut({ scope: "global" })) });
const duplicate = await client().signUp({ email, password });
assert.equal(duplicate.error.code, "user_already_exists");
console.log("ok auth");
