// Serves a folder and opens the port to members of the server: node port.mjs NAME [PORT]
// @ts-check
import { Devgate } from "devgate";

const [name = "demo", number = "8000"] = process.argv.slice(2);
const port = Number(number);
const devgate = new Devgate();
const { processes, ports } = await devgate.workspaces.named(name);

const server = await processes.start({
  command: ["python3", "-m", "http.server", "--bind", "127.0.0.1", number],
  cwd: "project",
  label: "server",
});
await ports.waitFor(port);
const shared = await ports.share(port, "members", { until: new Date(Date.now() + 3_600_000) });
console.log(`${shared.visibility} can open ${shared.url}`);

const answer = await ports.fetch(port, "/Makefile");
console.log(`answered ${answer.status}: ${(await answer.text()).split("\n")[0]}`);

await ports.unshare(port);
await processes.end(server.id);
await devgate.close();
