// A TCP proxy as one writes it for Node: two sockets piped into each other.
//
//     node net_proxy.mjs PORT TARGET_PORT
import { connect, createServer } from "node:net";

const [port, target] = process.argv.slice(2).map(Number);

createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
  const server = connect({ port: target, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  client.pipe(server);
  server.pipe(client);
  client.on("error", () => server.destroy());
  server.on("error", () => client.destroy());
}).listen(port, "127.0.0.1", () => console.log("ready"));
