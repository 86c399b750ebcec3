// A room of the package `socket.io`: node socketio.mjs PORT TEXT
import { Server } from "socket.io";
import { pace } from "./pace.mjs";

const [, , port, text] = process.argv;
const server = new Server({ transports: ["websocket"], perMessageDeflate: false, pingInterval: 300_000 });
server.on("connection", (socket) => {
  socket.join("room");
  const publish = (n) => server.to("room").emit("message", { n, text });
  socket.on("go", async (asked) => socket.emit("spent", { spent: await pace(asked, publish) }));
});
server.listen(Number(port));
