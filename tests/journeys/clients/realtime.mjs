// The unmodified centrifuge client (JSON): connect, subscribe, send, presence, history, lose the connection, recover.
import assert from "node:assert/strict";
import { once, EventEmitter } from "node:events";
import { Centrifuge, UnauthorizedError } from "centrifuge";
import WebSocket from "ws";

const [url, token, conversation, otherToken] = process.argv.slice(2);
const channel = `conv:${conversation}`;

function connect(bearer, extra = {}) {
  return new Centrifuge(url, { token: bearer, websocket: WebSocket, minReconnectDelay: 50, maxReconnectDelay: 200, ...extra });
}

async function until(condition, what) {
  for (let tries = 0; tries < 500; tries += 1) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`never: ${what}`);
}

const sender = connect(token);
sender.connect();
await sender.ready(5000);

const receiver = connect(otherToken);
const heard = [];
const states = new EventEmitter();
const subscription = receiver.newSubscription(channel);
subscription.on("publication", (ctx) => heard.push([ctx.offset, ctx.data.message.body]));
subscription.on("subscribed", (ctx) => states.emit("subscribed", ctx));
const subscribed = once(states, "subscribed");
subscription.subscribe();
receiver.connect();
const [first] = await subscribed;
assert.equal(first.recoverable, true);

async function send(body) {
  const { data } = await sender.rpc("message.send", { conv: conversation, client_id: crypto.randomUUID(), body });
  return data.seq;
}

assert.equal(await send("one"), 1);
await until(() => heard.length === 1, "the first message arrives");

const again = once(states, "subscribed");
receiver._transport._transport._transport?.terminate?.() ?? receiver._transport.close(); // the wire is cut
assert.equal(await send("two"), 2);
assert.equal(await send("three"), 3);
const [second] = await again;
assert.equal(second.wasRecovering, true);
assert.equal(second.recovered, true);
await until(() => heard.length === 3, "what was missed arrives");
assert.deepEqual(heard, [[1, "one"], [2, "two"], [3, "three"]]);

const history = await subscription.history({ limit: 10 });
assert.deepEqual(history.publications.map((entry) => entry.offset), [1, 2, 3]);

const signals = receiver.newSubscription(`eph:${conversation}`);
signals.subscribe();
await signals.ready(5000);
const { clients } = await signals.presence();
assert.equal(Object.keys(clients).length, 1);
await signals.publish({ t: "typing", on: true });

await assert.rejects(sender.rpc("no.such.method", {}), (error) => error.code === 104);
await assert.rejects(sender.rpc("message.send", { conv: conversation }), (error) => error.code === 107);

const stranger = connect("not a token");
const ended = new Promise((resolve) => stranger.on("disconnected", resolve));
stranger.connect();
assert.equal((await ended).code, 3500);
assert.ok(UnauthorizedError);

sender.disconnect();
receiver.disconnect();
console.log("ok realtime");
