// Phone numbers in place of addresses.
import assert from "node:assert/strict";
import { client, digits, mail, ok, refused } from "./world.mjs";

const PASSWORD = "correct horse battery";

export async function aSignUpByNumberAndPassword() {
  const phone = "+4915112340010";
  const made = client();
  const { user, session } = await ok(made.signUp({ phone, password: PASSWORD }));
  assert.deepEqual([user.phone, user.email, session], ["4915112340010", "", null]);
  await refused(client().signInWithPassword({ phone, password: PASSWORD }), 400, "phone_not_confirmed");
  const confirmed = await ok(made.verifyOtp({ type: "sms", phone, token: digits(await mail(phone, "sms")) }));
  assert.ok(confirmed.user.phone_confirmed_at);
  const again = await ok(client().signInWithPassword({ phone, password: PASSWORD }));
  assert.deepEqual([again.user.id, again.user.app_metadata.provider], [user.id, "phone"]);
}

export async function oneSignsInByTextAndTakesAnotherNumber() {
  const [phone, other] = ["+4915112340020", "+4915112340021"];
  const made = client();
  assert.ok((await ok(made.signInWithOtp({ phone }))).messageId);
  const token = digits(await mail(phone, "sms"));
  const { user } = await ok(made.verifyOtp({ type: "sms", phone, token }));
  assert.equal(user.phone, phone.slice(1));
  await refused(made.verifyOtp({ type: "sms", phone, token }), 403, "otp_expired");
  const asked = await ok(made.updateUser({ phone: other }));
  assert.deepEqual([asked.user.phone, asked.user.new_phone], [phone.slice(1), other.slice(1)]);
  const code = digits(await mail(other, "phone_change"));
  const moved = await ok(made.verifyOtp({ type: "phone_change", phone: other, token: code }));
  assert.deepEqual([moved.user.id, moved.user.phone], [user.id, other.slice(1)]);
}
