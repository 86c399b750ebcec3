// A real provider of OpenID Connect: node provider.mjs <port> <redirect URI>. Its login form takes any name.
import { Provider } from "oidc-provider";

const [port, redirectUri] = process.argv.slice(2);
const client = (id, method) => ({
  client_id: id,
  client_secret: method === "none" ? undefined : `secret of ${id} %:&`,
  token_endpoint_auth_method: method,
  redirect_uris: [redirectUri],
  grant_types: ["authorization_code", "refresh_token"],
  response_types: ["code"],
});

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [
    client("posts", "client_secret_post"),
    client("basic", "client_secret_basic"),
    client("public", "none"),
  ],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "picture"] },
  pkce: { required: () => true },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id.replace("unverified-", "")}@example.org`,
      email_verified: !id.startsWith("unverified-"),
      name: `The ${id}`,
      picture: `https://pictures.example.org/${id}`,
    }),
  }),
});
provider.listen(Number(port), "127.0.0.1", () => console.log("listening"));
process.stdin.resume().on("end", () => process.exit()); // with whoever started it
