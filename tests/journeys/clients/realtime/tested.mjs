// One client under test: a version of `centrifuge` in one codec, the people it speaks for, and what it heard.
import { createRequire } from "node:module";
import WebSocket from "ws";
import { until, world } from "./world.mjs";

const require = createRequire(import.meta.url);

export class Tested {
  constructor(description) {
    Object.assign(this, description); // name, package, codec, ann, ben, cem, conversation, small, foreign
    const binary = this.codec === "protobuf";
    const found = require(binary ? `${this.package}/build/protobuf` : this.package);
    this.Centrifuge = found.Centrifuge ?? found.default ?? found; // the forms of exports that the versions have
    // In Protobuf the client leaves the encoding of the application's data to its user.
    this.write = binary ? (data) => new TextEncoder().encode(JSON.stringify(data)) : (data) => data;
    this.read = binary ? (data) => JSON.parse(new TextDecoder().decode(data)) : (data) => data;
    this.devices = [];
    this.heard = []; // [offset, text] of every message
    this.subscribed = []; // every time the subscription to the messages was made
    this.said = 0;
    this.errors = []; // what the library told of its connections
  }

  device(token, url = world.here, options = {}) {
    const settings = { token, protocol: this.codec, websocket: WebSocket, timeout: 10000 };
    const device = new this.Centrifuge(url, { ...settings, minReconnectDelay: 20, maxReconnectDelay: 200, ...options });
    this.devices.push(device);
    device.on("error", (ctx) => this.errors.push(ctx.error));
    return device;
  }

  async connected(device) {
    device.connect();
    await device.ready(10000);
    return device;
  }

  async subscription(device, channel, options = {}) {
    const delays = { minResubscribeDelay: 20, maxResubscribeDelay: 200 };
    const subscription = device.newSubscription(channel, { ...delays, ...options });
    subscription.subscribe();
    await subscription.ready(10000);
    return subscription;
  }

  async rpc(device, method, data) {
    return this.read((await device.rpc(method, this.write(data))).data);
  }

  send(body, key = crypto.randomUUID()) {
    return this.rpc(this.sender, "message.send", { conv: this.conversation, client_id: key, body });
  }

  async say(count) {
    for (let number = 0; number < count; number += 1) await this.send(`said ${(this.said += 1)}`);
  }

  who(info) {
    return [this.ann, this.ben, this.cem].find((person) => person.usr === info.user)?.name ?? "nobody";
  }

  // Where things stand before a disturbance; what is reported is counted from here.
  mark() {
    return { heard: this.heard.length, subscribed: this.subscribed.length, last: this.heard.at(-1)[0] };
  }

  since(mark) {
    return this.heard.slice(mark.heard).map(([offset]) => offset - mark.last);
  }

  async again(mark) {
    await until(() => this.subscribed.length > mark.subscribed, "subscribed again");
    return this.subscribed.at(-1);
  }

  // After a disturbance: connected and subscribed again, or what has become of both.
  async back() {
    const states = () => ({ connection: this.receiver.state, subscription: this.conv.state });
    await this.conv.ready(30000).catch((error) => {
      throw new Error(`not back: ${JSON.stringify({ error, ...states(), errors: this.errors })}`);
    });
    return states();
  }

  leave(...devices) {
    for (const device of devices) device.disconnect();
  }
}
