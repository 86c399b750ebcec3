// The test beside this process: it is told what was seen, a line of JSON each, and asked to disturb the deployment.
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

export const world = JSON.parse(process.argv[2]);
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
let turn = Promise.resolve();

export function ask(question) {
  turn = turn.then(async () => {
    console.log(JSON.stringify({ ask: question }));
    return JSON.parse((await answers.next()).value);
  });
  return turn;
}

export function report(client, flow, saw) {
  console.log(JSON.stringify({ client: client.name, flow, saw }));
}

export async function until(condition, what, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await pause(10)) if (condition()) return;
  throw new Error(`never: ${what}`);
}

export async function code(promise) {
  return promise.then(() => "no error", (error) => error.code ?? String(error));
}
