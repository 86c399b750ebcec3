// Publishes as it was asked to, and tells what that cost this process.
const tick = (ms) => new Promise((resolve) => (ms > 0 ? setTimeout(resolve, ms) : setImmediate(resolve)));

/** Publish `messages`, `burst` at a time, `pause` seconds apart; resolve to the CPU seconds until they were written. */
export async function pace({ messages, burst, pause }, publish) {
  const before = process.cpuUsage();
  for (let number = 0; number < messages; number += burst) {
    for (let one = 0; one < burst; one += 1) publish(number + one);
    await tick(pause * 1000);
  }
  await tick(300);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}
