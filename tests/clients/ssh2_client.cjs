// Everything that a workspace is used for, with Node's ssh2: the client of VSCodium's
// open-remote-ssh and others. It is told and tells the same as the Python clients (what.py).
// With `jetbrains` as its second argument it does what JetBrains Gateway does instead.
"use strict";

const assert = require("node:assert/strict");
const { createHash } = require("node:crypto");
const { once } = require("node:events");
const { readFileSync } = require("node:fs");
const { createConnection, createServer } = require("node:net");
const { join } = require("node:path");
const { promisify } = require("node:util");
const { Client } = require("ssh2");

const lines = readFileSync(process.argv[2], "utf8").trimEnd().split("\n");
const it = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s)));
const large = readFileSync(it.large);
const done = (step) => console.log("done:", step);
const digest = (content) => createHash("sha256").update(content).digest("hex");
const same = (seen, expected) => assert.equal(digest(seen), digest(expected));

async function connect() {
  const client = new Client();
  const keys = it.host_keys.split(",").map((line) => line.split(" ")[1]);
  client.connect({
    host: it.host,
    port: Number(it.port),
    username: it.user,
    privateKey: readFileSync(it.identity),
    hostVerifier: (key) => keys.includes(key.toString("base64")),
    keepaliveInterval: 600,
    keepaliveCountMax: 3,
  });
  await once(client, "ready");
  return client;
}

async function everything(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

/**
 * Opens a channel and follows it to its CLOSE. A short command may be over before a promise
 * is told of its start, so all is attached at once.
 */
function follow(open, input) {
  return new Promise((resolve, reject) => {
    open((error, channel) => {
      if (error) return reject(error);
      const ended = [everything(channel), everything(channel.stderr), once(channel, "exit"), once(channel, "close")];
      Promise.all(ended).then(([out, err, [status, signal]]) => resolve({ out, err, status, signal }), reject);
      channel.end(input);
    });
  });
}

function run(client, command, input) {
  return follow((opened) => client.exec(command, opened), input);
}

async function commands(client) {
  const input = Buffer.from("typed\0\xff\r\n", "latin1");
  const ended = await run(client, "cat; echo to-err >&2; exit 7", input);
  same(ended.out, input);
  assert.equal(ended.err.toString(), "to-err\n");
  assert.equal(ended.status, 7);
  same((await run(client, `cat ${it.large}`)).out, large);
  const killed = await run(client, "kill -TERM $$");
  assert.deepEqual([killed.status, killed.signal], [null, "SIGTERM"]);
  done("exec");
}

async function shell(client) {
  const [columns, rows] = [132, 43];
  const window = { term: "xterm", cols: columns, rows };
  const typed = 'stty size; test -t 0 && echo "is"-a-terminal; exit 5\n';
  const { out, status } = await follow((opened) => client.shell(window, opened), typed);
  const seen = out.toString();
  assert(seen.includes(`${rows} ${columns}\r\n`), seen);
  assert(seen.includes("is-a-terminal\r\n"), seen);
  assert.equal(status, 5);
  done("shell");
}

async function files(client) {
  const sftp = await promisify(client.sftp.bind(client))();
  const ask = (name, ...given) => promisify(sftp[name].bind(sftp))(...given);
  const home = await ask("realpath", ".");
  await ask("mkdir", "ssh2");
  await ask("fastPut", it.large, "ssh2/sent");
  await ask("fastGet", "ssh2/sent", join(it.folder, "back"));
  same(readFileSync(join(it.folder, "back")), large);
  same(await ask("readFile", `${home}/ssh2/sent`), large);
  await ask("rename", "ssh2/sent", "ssh2/renamed");
  assert.deepEqual((await ask("readdir", "ssh2")).map((one) => one.filename), ["renamed"]);
  assert.equal((await ask("stat", "ssh2/renamed")).size, large.length);
  await ask("ext_openssh_hardlink", "ssh2/renamed", "ssh2/hard");
  await ask("ext_openssh_rename", "ssh2/renamed", "ssh2/hard");
  await ask("unlink", "ssh2/renamed");
  await ask("unlink", "ssh2/hard");
  await ask("rmdir", "ssh2");
  await assert.rejects(ask("stat", "ssh2"), { code: 2 });
  const closed = once(sftp, "close");
  sftp.end();
  await closed;
  done("sftp");
}

async function echo(stream) {
  stream.end(large);
  same(await everything(stream), large);
}

async function forwards(client) {
  const open = promisify(client.forwardOut.bind(client));
  await echo(await open("127.0.0.1", 1, "127.0.0.1", Number(it.echo)));
  done("direct-tcpip");
  await assert.rejects(open("127.0.0.1", 1, "127.0.0.1", Number(it.closed)), { reason: 2 });
  done("refused");
  const port = await promisify(client.forwardIn.bind(client))("127.0.0.1", 0);
  client.once("tcp connection", (_, accept) => {
    const channel = accept();
    channel.pipe(channel);
  });
  await echo(createConnection({ port, host: "127.0.0.1", allowHalfOpen: true }));
  await promisify(client.unforwardIn.bind(client))("127.0.0.1", port);
  done("tcpip-forward");
}

/**
 * What JetBrains Gateway does: it looks around, uploads its worker, starts it, and asks for
 * its state again and again, while all that the IDE says goes through one connection.
 */
async function jetbrains(client) {
  const text = async (command) => (await run(client, command)).out.toString();
  assert.match(await text("uname -sm"), /^Linux \S+\n$/);
  const home = (await text("echo $HOME")).trimEnd();
  const folder = `${home}/.cache/JetBrains/RemoteDev/dist`;
  assert.equal((await run(client, `test -e ${folder}`)).status, 1);
  assert.equal((await run(client, `mkdir -p ${folder}`)).status, 0);
  const worker = Buffer.concat(Array(5).fill(large));
  const sftp = await promisify(client.sftp.bind(client))();
  const ask = (name, ...given) => promisify(sftp[name].bind(sftp))(...given);
  await ask("writeFile", `${folder}/worker`, worker, { mode: 0o755 });
  assert.equal((await ask("stat", `${folder}/worker`)).size, worker.length);
  sftp.end();
  assert.equal((await text(`sha256sum < ${folder}/worker`)).split(" ")[0], digest(worker));
  done("uploaded");

  const long = await promisify(client.forwardOut.bind(client))("127.0.0.1", 1, "127.0.0.1", Number(it.echo));
  let answered = 0;
  long.on("data", (part) => (answered += part.length));
  let sent = 0;
  const talk = setInterval(() => {
    long.write(large.subarray(0, 10_000));
    sent += 10_000;
  }, 10);
  const poll = async (number) => {
    const asked = `/bin/bash -lc 'printf "{\\"number\\": %d, \\"home\\": \\"%s\\"}" ${number} "$HOME"'`;
    const { out, status } = await run(client, asked);
    assert.deepEqual([JSON.parse(out), status], [{ number, home }, 0]);
  };
  await Promise.all(Array.from({ length: 200 }, (_, number) => poll(number)));
  done("polled");
  clearInterval(talk);
  const ended = once(long, "close");
  long.end();
  await ended;
  assert(sent > 0);
  assert.equal(answered, sent);
  done("direct-tcpip");
}

async function everyday(client) {
  await commands(client);
  await shell(client);
  await files(client);
  await forwards(client);
  await sockets(client);
  // Keys change while everything is done once more. A client of ssh2 has no public way to ask
  // for it.
  const again = Promise.all([commands(client), files(client)]);
  client._protocol.rekey();
  await again;
  done("rekeyed");
  // Unanswered keep-alives would have ended this before.
  assert.equal((await run(client, "sleep 3; echo alive")).out.toString(), "alive\n");
  done("keepalive");
}

async function sockets(client) {
  const [here, there] = [join(it.folder, "here"), join(it.folder, "there")];
  const server = createServer({ allowHalfOpen: true }, (stream) => stream.pipe(stream)).listen(here);
  await once(server, "listening");
  await echo(await promisify(client.openssh_forwardOutStreamLocal.bind(client))(here));
  server.close();
  done("direct-streamlocal");
  client.once("unix connection", (_, accept) => {
    const channel = accept();
    channel.pipe(channel);
  });
  await promisify(client.openssh_forwardInStreamLocal.bind(client))(there);
  await echo(createConnection({ path: there, allowHalfOpen: true }));
  await promisify(client.openssh_unforwardInStreamLocal.bind(client))(there);
  done("streamlocal-forward");
}

async function main() {
  const client = await connect();
  await (process.argv[3] === "jetbrains" ? jetbrains : everyday)(client);
  const closed = once(client, "close");
  client.end();
  await closed;
}

main();
