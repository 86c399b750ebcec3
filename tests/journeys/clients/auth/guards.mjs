// The unmodified @supabase/auth-js where forms ask for a captcha and leaked passwords are refused:
// node auth/guards.mjs '{"url": …}' (what it takes: world.mjs).
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { client, ok, person, refused } from "./world.mjs";

const solved = { captchaToken: "solved" };
const LEAKED = "a password that leaked";

describe("auth-js, guarded", { concurrency: 1 }, () => {
  it("lets nobody pass without an answer, or with a wrong one", async () => {
    const { email, password } = person();
    for (const captchaToken of [undefined, "", "guessed"]) {
      const options = { captchaToken };
      await refused(client().signUp({ email, password, options }), 400, "captcha_failed");
      await refused(client().signInWithPassword({ email, password, options }), 400, "captcha_failed");
      await refused(client().signInWithOtp({ email, options }), 400, "captcha_failed");
      await refused(client().resetPasswordForEmail(email, options), 400, "captcha_failed");
      await refused(client().resend({ type: "signup", email, options }), 400, "captcha_failed");
      await refused(client().signInAnonymously({ options }), 400, "captcha_failed");
    }
  });

  it("takes an answer, and asks for none to refresh", async () => {
    const { email, password } = person();
    const made = client();
    await ok(made.signUp({ email, password, options: solved }));
    await ok(client().signInWithPassword({ email, password, options: solved }));
    await ok(client().signInAnonymously({ options: solved }));
    const { session } = await ok(made.refreshSession());
    assert.equal(session.user.email, email);
  });

  it("names a leak as the reason, and takes another password", async () => {
    const { email, password } = person();
    const made = client();
    const error = await refused(made.signUp({ email, password: LEAKED, options: solved }), 422, "weak_password");
    assert.deepEqual([error.name, error.reasons], ["AuthWeakPasswordError", ["pwned"]]);
    await ok(made.signUp({ email, password, options: solved }));
    const change = { password: LEAKED, current_password: password };
    assert.deepEqual((await refused(made.updateUser(change), 422, "weak_password")).reasons, ["pwned"]);
    await ok(client().signInWithPassword({ email, password, options: solved }));
  });
});
