// The unmodified @supabase/auth-js through every flow: node auth/main.mjs '{"url": …}' (what it takes: world.mjs).
// One suite per file, their flows beside each other; those that move the server's clock come last, one by one.
import { describe, it } from "node:test";
import * as administrators from "./administrators.mjs";
import * as anonymous from "./anonymous.mjs";
import * as changes from "./changes.mjs";
import * as codes from "./codes.mjs";
import * as factors from "./factors.mjs";
import * as identities from "./identities.mjs";
import * as phones from "./phones.mjs";
import * as refusals from "./refusals.mjs";
import * as sessions from "./sessions.mjs";
import * as time from "./time.mjs";

const AT_ONCE = 4;
const suites = { administrators, anonymous, changes, codes, factors, identities, phones, refusals, sessions };

describe("auth-js", { concurrency: 1 }, () => {
  describe("at any time", { concurrency: AT_ONCE }, () => {
    for (const [suite, flows] of Object.entries(suites))
      for (const [name, flow] of Object.entries(flows)) it(`${suite}: ${name}`, flow);
  });
  describe("as time passes", { concurrency: 1 }, () => {
    for (const [name, flow] of Object.entries(time)) it(name, flow);
  });
});
