// What a lost network, a killed server and a lost bus cost: nothing, or a client that is told what it missed.
import { setTimeout as pause } from "node:timers/promises";
import { until } from "./world.mjs";

async function recovery(on, mark, count) {
  const { recovered, wasRecovering } = await on.again(mark);
  await until(() => on.since(mark).length >= count, "all that was missed");
  await on.say(1);
  await until(() => on.since(mark).length > count, "and what comes now");
  return { recovered, wasRecovering, heard: on.since(mark) };
}

export async function* cut(on) {
  const mark = on.mark();
  yield "shut";
  await on.say(3);
  yield "open";
  yield await recovery(on, mark, 3);
}

export async function* killed(on) {
  const mark = on.mark();
  yield "kill";
  await on.say(3);
  yield "open";
  yield await recovery(on, mark, 3);
}

// A deploy: the server says goodbye before it goes.
export async function* drained(on) {
  const mark = on.mark();
  const told = [];
  on.receiver.once("connecting", (ctx) => told.push(ctx.code));
  yield "stop";
  await on.say(3);
  yield "open";
  yield { told, ...(await recovery(on, mark, 3)) };
}

export async function* tooFar(on) {
  const mark = on.mark();
  yield "shut";
  await on.say(12);
  yield "open";
  const { recovered, wasRecovering, streamPosition } = await on.again(mark);
  await on.say(1);
  await until(() => on.since(mark).length, "what comes now");
  yield { recovered, wasRecovering, position: Number(streamPosition.offset) - mark.last, heard: on.since(mark) };
}

// The client that loads what it shows by itself, and says where that stands: at first, and again after error 112.
export async function* stated(on) {
  const mark = on.mark();
  const loaded = [];
  const heard = [];
  const device = await on.connected(on.device(on.ben.token));
  const getState = async () => {
    const { epoch, last_seq: offset } = await on.rpc(device, "conv.get", { conv: on.conversation });
    loaded.push(offset - mark.last);
    return { epoch, offset };
  };
  const subscription = await on.subscription(device, `conv:${on.conversation}`, { getState });
  subscription.on("publication", (ctx) => heard.push(Number(ctx.offset) - mark.last));
  yield "shut";
  await on.say(12);
  yield "open";
  await until(() => loaded.length > 1, "the state is loaded again");
  await Promise.all([subscription.ready(10000), on.again(mark)]);
  await on.say(1);
  await until(() => heard.length && on.since(mark).length, "what comes now");
  yield { loaded, heard };
}

export async function* busLost(on) {
  const mark = on.mark();
  yield "silence";
  await on.say(3);
  await pause(300);
  const early = on.since(mark);
  yield "speak";
  await until(() => on.since(mark).length >= 3, "what the bus lost");
  await on.say(1);
  await until(() => on.since(mark).length >= 4, "what the bus brings");
  yield { early, heard: on.since(mark), again: on.subscribed.length - mark.subscribed };
}
