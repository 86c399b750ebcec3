// How connections and subscriptions go on and end, each on a connection of its own.
import { ask, until, world } from "./world.mjs";

export async function refresh(on) {
  let asked = 0;
  const getToken = async () => {
    asked += 1;
    return ask({ token: on.ben.token, seconds: 2 });
  };
  const device = on.device(await getToken(), world.here, { getToken });
  const connecting = [];
  device.on("connecting", (ctx) => connecting.push(ctx.code));
  await on.connected(device);
  await until(() => asked >= 4, "the token is renewed three times");
  const called = (await on.rpc(device, "conv.list", {})).items.length > 0;
  on.leave(device);
  return { connecting, called };
}

export async function expired(on) {
  let asked = 0;
  const getToken = async () => {
    asked += 1;
    return on.ben.token;
  };
  const device = on.device(await ask({ token: on.ben.token, seconds: -300 }), world.here, { getToken });
  await on.connected(device);
  on.leave(device);
  return { asked };
}

export async function refused(on) {
  const device = on.device("not a token");
  const ended = new Promise((resolve) => device.on("disconnected", (ctx) => resolve(ctx.code)));
  device.connect();
  return { code: await ended, state: device.state };
}

export async function removed(on) {
  const speaker = await on.connected(on.device(on.ann.token, world.there));
  const hearer = await on.connected(on.device(on.ben.token));
  const subscription = await on.subscription(hearer, `conv:${on.small}`);
  const ended = new Promise((resolve) => subscription.on("unsubscribed", (ctx) => resolve(ctx.code)));
  await on.rpc(speaker, "conv.kick", { conv: on.small, user: on.ben.usr });
  const code = await ended;
  on.leave(speaker, hearer);
  return { code, state: subscription.state };
}

export async function signedOut(on) {
  const device = await on.connected(on.device(on.cem.token));
  const ended = new Promise((resolve) => device.on("disconnected", (ctx) => resolve(ctx.code)));
  const headers = { Authorization: `Bearer ${on.cem.token}` };
  await fetch(`${world.http}/auth/v1/logout?scope=local`, { method: "POST", headers });
  return { code: await ended };
}
