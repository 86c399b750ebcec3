// A real provider of OpenID Connect: signing in by it, and linking it.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Browser } from "./browser.mjs";
import { SITE, callback, client, fragment, hears, issuer, ok, person, refused, signedUp } from "./world.mjs";

const PKCE = { flowType: "pkce" };
let logins = 0;

function somebody(name = "sam") {
  logins += 1;
  return `${name}-${logins}`;
}

const email = (login) => `${login.replace("unverified-", "")}@example.org`;

/** Go where a client sends somebody, through the provider and back to the application. */
async function walk(login, { url }) {
  return new Browser(login).signIn(url, SITE);
}

/** Get an id_token as an app does that asks the provider itself, with a nonce of its own. */
async function idToken(login, nonce) {
  const verifier = randomBytes(32).toString("base64url");
  const asked = new URLSearchParams({
    client_id: "public",
    redirect_uri: callback,
    response_type: "code",
    scope: "openid email",
    nonce,
    code_challenge: createHash("sha256").update(verifier).digest("base64url"),
    code_challenge_method: "S256",
  });
  const said = await new Browser(login).signIn(`${issuer}/auth?${asked}`, callback);
  const body = new URLSearchParams({
    grant_type: "authorization_code",
    client_id: "public",
    redirect_uri: callback,
    code_verifier: verifier,
    code: said.searchParams.get("code"),
  });
  const tokens = await (await fetch(`${issuer}/token`, { method: "POST", body })).json();
  return { provider: "public", token: tokens.id_token, access_token: tokens.access_token, nonce };
}

export async function awayAndBackWithPkce() {
  const login = somebody();
  const made = client(PKCE);
  const options = { redirectTo: `${SITE}/in`, scopes: "offline_access" };
  const away = await ok(made.signInWithOAuth({ provider: "keycloak", options }));
  assert.equal(away.provider, "keycloak");
  const where = await walk(login, away);
  assert.equal(where.pathname, "/in");
  const code = where.searchParams.get("code");
  const { session, user } = await hears(made, "SIGNED_IN", () => ok(made.exchangeCodeForSession(code)));
  assert.deepEqual([user.email, user.user_metadata.full_name], [email(login), `The ${login}`]);
  assert.deepEqual(user.app_metadata, { provider: "keycloak", providers: ["keycloak"] });
  assert.ok(user.email_confirmed_at, "the provider verified it");
  const theirs = await fetch(`${issuer}/me`, { headers: { Authorization: `Bearer ${session.provider_token}` } });
  assert.equal((await theirs.json()).sub, login);
  const { amr } = (await ok(made.getClaims())).claims;
  assert.deepEqual([amr[0].method, amr[0].provider], ["oauth", "keycloak"]);

  const again = client(PKCE);
  const back = await walk(login, await ok(again.signInWithOAuth({ provider: "keycloak" })));
  assert.equal((await ok(again.exchangeCodeForSession(back.searchParams.get("code")))).user.id, user.id);
}

export async function awayAndBackWithTokensInTheAddress() {
  const login = somebody();
  const made = client();
  const where = await walk(login, await ok(made.signInWithOAuth({ provider: "gitlab" })));
  const { user } = await ok(made.setSession(fragment(where)));
  assert.equal(user.email, email(login));
}

export async function anAddressThatTheProviderDidNotVerify() {
  const where = await walk(somebody("unverified-ben"), await ok(client().signInWithOAuth({ provider: "keycloak" })));
  assert.equal(fragment(where).error_code, "provider_email_needs_verification");
  assert.equal(fragment(where).access_token, undefined);
}

export async function anIdToken() {
  const login = somebody();
  const [made, nonce] = [client(), randomBytes(16).toString("hex")];
  const credentials = await idToken(login, nonce);
  const wrong = await client().signInWithIdToken({ ...credentials, nonce: "another" });
  assert.deepEqual([wrong.error.status, wrong.data.session], [400, null]);
  const { user, session } = await ok(made.signInWithIdToken(credentials));
  assert.ok(session.refresh_token);
  assert.deepEqual(user.identities.map((one) => [one.provider, one.id]), [["public", login]]);
  assert.equal((await ok(made.getUser())).user.id, user.id);
  await refused(client().signInWithIdToken({ ...credentials, provider: "google" }), 400, "provider_disabled");
}

export async function identitiesAreLinkedAndUnlinked() {
  const jo = person();
  const made = await signedUp(jo, PKCE);
  const login = somebody();
  const where = await walk(login, await ok(made.linkIdentity({ provider: "gitlab" })));
  await ok(made.exchangeCodeForSession(where.searchParams.get("code")));
  const { identities } = await ok(made.getUserIdentities());
  assert.deepEqual(identities.map((one) => one.provider), ["email", "gitlab"]);
  assert.deepEqual([identities[1].id, identities[1].identity_data.email], [login, email(login)]);
  assert.equal((await ok(made.getUser())).user.email, jo.email, "the account keeps its address");

  const by = client(PKCE);
  const back = await walk(login, await ok(by.signInWithOAuth({ provider: "gitlab" })));
  const { user } = await ok(by.exchangeCodeForSession(back.searchParams.get("code")));
  assert.equal(user.email, jo.email, "one signs in by it");

  const stranger = await signedUp(person(), PKCE);
  const taken = await walk(login, await ok(stranger.linkIdentity({ provider: "gitlab" })));
  assert.equal(taken.searchParams.get("error_code") ?? fragment(taken).error_code, "identity_already_exists");

  await ok(by.unlinkIdentity(identities[1]));
  assert.deepEqual((await ok(by.getUserIdentities())).identities.map((one) => one.provider), ["email"]);
  const last = (await ok(by.getUserIdentities())).identities[0];
  await refused(by.unlinkIdentity(last), 422, "single_identity_not_deletable");
}

export async function anIdTokenIsLinked() {
  const login = somebody();
  const made = await signedUp(person());
  const before = (await ok(made.getUser())).user;
  const { user } = await ok(made.linkIdentity(await idToken(login, randomBytes(16).toString("hex"))));
  assert.equal(user.id, before.id);
  assert.deepEqual(user.identities.map((one) => one.provider), ["email", "public"]);
  const again = await ok(client().signInWithIdToken(await idToken(login, randomBytes(16).toString("hex"))));
  assert.equal(again.user.id, before.id);
}
