// Somebody at a browser, with the cookies of the provider and its login page.
import assert from "node:assert/strict";

export class Browser {
  #cookies = new Map();

  constructor(login) {
    this.login = login;
  }

  /** Log in at the provider and agree; return the address at which the application gets its answer. */
  async signIn(address, lands) {
    let answer = await this.#ask(address);
    for (let steps = 0; steps < 16; steps += 1) {
      const next = answer.headers.get("location");
      assert.ok(next, `${answer.status} of ${answer.url}`);
      const where = new URL(next, answer.url);
      if (where.href.startsWith(lands)) return where;
      answer = await this.#ask(where);
      if (answer.ok && where.pathname.includes("/interaction/")) answer = await this.#fill(where, await answer.text());
    }
    throw new Error("the provider goes in circles");
  }

  async #fill(where, page) {
    const login = { prompt: "login", login: this.login, password: "x" };
    const form = page.includes('value="consent"') ? { prompt: "consent" } : login;
    return this.#ask(where, { method: "POST", body: new URLSearchParams(form) });
  }

  async #ask(address, options = {}) {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(address, { ...options, headers: { cookie }, redirect: "manual" });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      if (value) this.#cookies.set(name, value);
      else this.#cookies.delete(name);
    }
    return answer;
  }
}
