// Every flow with every client: first those that need a quiet server, then the disturbances, all clients in step.
import * as quiet from "./quiet.mjs";
import * as aside from "./aside.mjs";
import * as disturbed from "./disturbed.mjs";
import { Tested } from "./tested.mjs";
import { ask, report, world } from "./world.mjs";

const clients = world.clients.map((description) => new Tested(description));

async function attempt(client, name, work) {
  try {
    return await work();
  } catch (error) {
    report(client, name, { error: error.stack ?? JSON.stringify(error) });
    return { done: true };
  }
}

async function run(client, name, flow) {
  await attempt(client, name, async () => report(client, name, await flow(client)));
}

async function inOrder(client) {
  for (const name of quiet.order) await run(client, name, quiet[name]);
}

// A disturbance is a generator: it yields the steps that it needs, and at last what it saw.
async function inStep(name, flow, able) {
  let going = able.map((client) => ({ client, steps: flow(client) }));
  while (going.length) {
    const turns = await Promise.all(going.map(({ client, steps }) => attempt(client, name, () => steps.next())));
    going = going.filter((_, index) => !turns[index].done);
    const values = turns.filter((turn) => !turn.done).map((turn) => turn.value);
    if (typeof values[0] === "string") await ask({ step: values[0] });
    else values.forEach((saw, index) => report(going[index].client, name, saw));
  }
}

await Promise.all(
  clients.flatMap((client) => [inOrder(client), ...Object.entries(aside).map(([name, flow]) => run(client, name, flow))]),
);
for (const name of world.disturbances) {
  await Promise.all(clients.map((client) => run(client, `before ${name}`, () => client.back()))); // who had no part too
  const able = clients.filter((client) => name !== "stated" || client.loadsState);
  await inStep(name, disturbed[name], able);
}
for (const client of clients) client.leave(...client.devices);
console.log(JSON.stringify({ end: true }));
process.exit(0);
