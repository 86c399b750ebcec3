// A room of the package `ws`: node ws.mjs PORT TEXT
import { WebSocketServer } from "ws";
import { pace } from "./pace.mjs";

const [, , port, text] = process.argv;
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), perMessageDeflate: false });
const publish = (n) => {
  const message = JSON.stringify({ n, text });
  for (const client of server.clients) client.send(message);
};
server.on("connection", (socket) => {
  socket.send("{}");
  socket.on("message", async (asked) => socket.send(JSON.stringify({ spent: await pace(JSON.parse(asked), publish) })));
});
