// What people do on a quiet day, one after the other on one conversation: `ben` hears, `ann` speaks.
import { code, until, world } from "./world.mjs";

export const order = ["connect", "messages", "history", "signals", "presence", "calls", "burst", "errors"];

export async function connect(on) {
  const own = [];
  on.sender = on.device(on.ann.token, world.there);
  on.receiver = on.device(on.ben.token);
  on.receiver.on("subscribed", (ctx) => own.push(ctx.channel));
  let client;
  on.receiver.on("connected", (ctx) => (client = ctx.client));
  await Promise.all([on.connected(on.sender), on.connected(on.receiver)]);
  await until(() => own.length, "the server subscribes");
  return { client: /^[0-9a-f-]{36}$/.test(client), own: own.map((channel) => channel === `user:${on.ben.usr}`) };
}

export async function messages(on) {
  on.conv = on.receiver.newSubscription(`conv:${on.conversation}`, { recoverable: true, positioned: true });
  on.conv.on("publication", (ctx) => on.heard.push([Number(ctx.offset), on.read(ctx.data).message.body]));
  on.conv.on("subscribed", (ctx) => on.subscribed.push(ctx));
  on.conv.subscribe();
  await on.conv.ready(10000);
  const sent = [];
  for (const body of ["one", "two", "three"]) sent.push((await on.send(body)).seq);
  await until(() => on.heard.length === 3, "three messages");
  const [first] = on.subscribed;
  return { recoverable: first.recoverable, positioned: first.positioned, sent, heard: on.heard.slice() };
}

export async function history(on) {
  const { epoch } = on.subscribed[0].streamPosition;
  const read = async (options) => (await on.conv.history(options)).publications.map((entry) => Number(entry.offset));
  return {
    all: await read({ limit: 10 }),
    newest: await read({ limit: 2, reverse: true }),
    after: await read({ limit: 10, since: { offset: 1, epoch } }),
    position: Number((await on.conv.history({ limit: 0 })).offset),
    otherEpoch: await code(on.conv.history({ limit: 1, since: { offset: 1, epoch: "other" } })),
  };
}

export async function signals(on) {
  const heard = [];
  on.joined = [];
  on.left = [];
  on.signals = on.receiver.newSubscription(`eph:${on.conversation}`, { joinLeave: true });
  on.signals.on("publication", (ctx) => heard.push([on.who(ctx.info), on.read(ctx.data)]));
  on.signals.on("join", (ctx) => on.joined.push(on.who(ctx.info)));
  on.signals.on("leave", (ctx) => on.left.push(on.who(ctx.info)));
  on.signals.subscribe();
  await on.signals.ready(10000);
  await on.sender.publish(`eph:${on.conversation}`, on.write({ typing: true }));
  await until(() => heard.length, "a signal");
  await on.signals.publish(on.write({ typing: false }));
  await until(() => heard.length === 2, "one's own signal");
  return { heard, onMessages: await code(on.conv.publish(on.write({}))) };
}

export async function presence(on) {
  const beside = await on.connected(on.device(on.ann.token, world.there));
  const also = await on.subscription(beside, `eph:${on.conversation}`);
  await until(() => on.joined.includes("ann"), "ann joins");
  const { clients } = await on.signals.presence();
  const { numClients, numUsers } = await on.signals.presenceStats();
  also.unsubscribe();
  await until(() => on.left.includes("ann"), "ann leaves");
  on.leave(beside);
  return {
    who: Object.values(clients).map((info) => on.who(info)).sort(),
    named: Object.entries(clients).every(([client, info]) => client === info.client),
    counted: [numClients, numUsers],
    left: on.left,
    onMessages: await code(on.conv.presence()),
  };
}

export async function calls(on) {
  const twice = crypto.randomUUID();
  const sent = [await on.send("four", twice), await on.send("four", twice)];
  await until(() => on.heard.length === 4, "a message more");
  const { title, me } = await on.rpc(on.receiver, "conv.get", { conv: on.conversation });
  const page = await on.rpc(on.receiver, "conv.history", { conv: on.conversation, limit: 2 });
  const listed = await on.rpc(on.receiver, "conv.list", {});
  return {
    repeated: sent.map(({ dup }) => dup),
    same: sent[0].id === sent[1].id,
    conversation: [title, me.role],
    page: page.items.map(({ body }) => body),
    listed: listed.items.some(({ id }) => id === on.conversation),
  };
}

// What comes together may be read together, and must be heard in order.
export async function burst(on) {
  const mark = on.mark();
  await Promise.all(Array.from({ length: 12 }, () => on.say(1)));
  await until(() => on.since(mark).length === 12, "a dozen messages");
  return on.since(mark);
}

export async function errors(on) {
  const refused = async (channel) => {
    const subscription = on.receiver.newSubscription(channel);
    const ended = new Promise((resolve) => subscription.on("unsubscribed", (ctx) => resolve(ctx.code)));
    subscription.subscribe();
    return ended;
  };
  const rpc = (method, data) => code(on.rpc(on.receiver, method, data));
  return {
    namespace: await refused(`nothing:${on.conversation}`),
    spelling: await refused(`CONV:${on.conversation}`),
    otherPrefix: await refused(`conv:${on.ben.usr}`),
    plainId: await refused(`conv:${crypto.randomUUID()}`),
    long: await refused(`conv:${"x".repeat(300)}`),
    stranger: await refused(`conv:${on.foreign}`),
    somebodysOwn: await refused(`user:${on.ann.usr}`),
    method: await rpc("no.such.method", {}),
    field: await rpc("message.send", { conv: on.conversation }),
    notTheirs: await rpc("conv.get", { conv: on.foreign }),
  };
}
