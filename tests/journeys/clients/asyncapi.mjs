// A document against the schema of AsyncAPI 3.0, and what it says about data against data.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import specifications from "@asyncapi/specs";
import Draft07 from "ajv";
import Draft2020 from "ajv/dist/2020.js";

const document = JSON.parse(readFileSync(process.argv[2], "utf8"));
const options = { strict: false, validateFormats: false, allErrors: true };

const own = { ...options, meta: false, validateSchema: false }; // it brings the schema of draft 7 with it
const check = new Draft07.default(own).compile(specifications.schemas["3.0.0"]);
assert.ok(check(document), JSON.stringify(check.errors, null, 1));

const data = new Draft2020.default(options).addSchema(document, "document");
const payload = (channel, message) =>
  data.compile({ $ref: `document#/channels/${channel}/messages/${message}/payload` });
for (const [channel, { messages }] of Object.entries(document.channels))
  for (const [name, message] of Object.entries(messages)) if (!message.$ref) payload(channel, name);

const send = payload("rpc.message.send", "request");
assert.ok(send({ conv: "cnv_01m8bxn271eqms5krffy6s6nwe", client_id: crypto.randomUUID(), body: "hello" }));
assert.ok(!send({ conv: "cnv_01m8bxn271eqms5krffy6s6nwe" }), "what error 107 refuses");
assert.ok(!send({ conv: 1, client_id: "1", body: "hello" }), "what error 107 refuses");

console.log(`ok ${Object.keys(document.operations).length} operations`);
