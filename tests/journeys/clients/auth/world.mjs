// What the flows share: people, their clients, their mail, and the time.
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { GoTrueClient } from "@supabase/auth-js";

export const { url, key, issuer, callback, clock } = JSON.parse(process.argv[2]);
export const auth = `${url}/auth/v1`;
export const SITE = "http://localhost:3000";

const seen = new Set();
const realNow = Date.now;
let people = 0;
let addresses = 0;
let ahead = 0;

/** Invent somebody: no two flows share an address. */
export function person(name = "jo") {
  people += 1;
  return { email: `${name}-${people}@example.com`, password: `horse battery ${crypto.randomUUID()}` };
}

/**
 * Make a client as an application makes one. Each has an address of its own, as behind a proxy that the server trusts:
 * so the limits by address are those of a real server.
 */
export function client(options = {}) {
  addresses += 1;
  const headers = { apikey: "anon", Authorization: "Bearer anon", "X-Forwarded-For": `10.${addresses % 250}.0.1` };
  const settings = { url: auth, autoRefreshToken: false, persistSession: true, storage: memory(), ...options };
  return new GoTrueClient({ ...settings, headers: { ...headers, ...options.headers } });
}

/** Make a client as a backend has it: its service key is both `apikey` and bearer. */
export function backend() {
  return client({ headers: { apikey: key, Authorization: `Bearer ${key}` }, persistSession: false }).admin;
}

function memory() {
  const items = new Map();
  return {
    getItem: (name) => items.get(name) ?? null,
    setItem: (name, value) => void items.set(name, value),
    removeItem: (name) => void items.delete(name),
  };
}

/** Return what a client answers, which must be no error. */
export async function ok(promise) {
  const { data, error } = await promise;
  if (error) throw Object.assign(new Error(`${error.name} ${error.status} ${error.code}: ${error.message}`), { error });
  return data;
}

/** Return the error of a client: it is the server's, has this status and code, and nothing comes beside it. */
export async function refused(promise, status, code) {
  const { data, error } = await promise;
  assert.ok(error, `refused with ${code}`);
  assert.deepEqual([error.status, error.code], [status, code], error.message);
  assert.ok(!data?.session);
  return error;
}

/** Sign somebody up and confirm the address; return the client. */
export async function signedUp(who, options = {}) {
  const made = client(options);
  await ok(made.signUp(who));
  await ok(made.verifyOtp({ type: "signup", email: who.email, token: digits(await mail(who.email, "confirmation")) }));
  return made;
}

/** Sign somebody in again, elsewhere. */
export async function signedIn({ email, password }, options = {}) {
  const made = client(options);
  await ok(made.signInWithPassword({ email, password }));
  return made;
}

/** Wait for the next mail (or SMS) of a kind to somebody; each is read once. */
export async function mail(to, kind) {
  const until = performance.now() + 15_000;
  while (performance.now() < until) {
    const found = (await letters(to)).find((one) => one.kind === `auth.${kind}` && !seen.has(one.id));
    if (found) {
      seen.add(found.id);
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  throw new Error(`no ${kind} came to ${to}: ${JSON.stringify((await letters(to)).map((one) => one.kind))}`);
}

/** Everything that was sent to somebody, the newest first. */
export async function letters(to) {
  const answer = await fetch(`${auth}/x/outbox?to=${encodeURIComponent(to)}`);
  assert.equal(answer.status, 200);
  return (await answer.json()).messages;
}

/** Read the code in a mail or SMS. */
export const digits = ({ text }) => text.match(/\b\d{6}\b/)[0];

/** Make a code that is not this one. */
export const next = (code) => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

/** Read the link in a mail. */
export const link = ({ text }) => new URL(text.match(/^https?:\/\/\S+$/m)[0]);

/** Follow the link of a mail as a browser does; return where it leads. */
export async function click(letter) {
  const answer = await fetch(link(letter), { redirect: "manual" });
  assert.equal(answer.status, 303);
  return new URL(answer.headers.get("location"));
}

/** What stands behind the `#` of an address. */
export const fragment = (where) => Object.fromEntries(new URLSearchParams(where.hash.slice(1)));

/** Move the time of the server and of the clients on. */
export function move(seconds) {
  ahead += seconds;
  writeFileSync(`${clock}.new`, String(ahead));
  renameSync(`${clock}.new`, clock); // the server reads it at any moment
  Date.now = () => realNow() + ahead * 1000;
}

/** Wait for an event of a client: `await hears(client, "TOKEN_REFRESHED", async () => …)`. */
export async function hears(made, event, action) {
  const heard = [];
  const { data } = made.onAuthStateChange((name) => void heard.push(name));
  const result = await action();
  data.subscription.unsubscribe();
  assert.ok(heard.includes(event), `heard ${heard}, not ${event}`);
  return result;
}
