import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { ConnectionFailed, type Entry } from "../src/index.js";
import { lines, serverEvents } from "../src/lines.js";
import { Fixture, inside, json, problem } from "./server.js";

async function* parts(...texts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    yield typeof text === "string" ? new TextEncoder().encode(text) : text;
  }
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of stream) {
    found.push(one);
  }
  return found;
}

test("lines are whole however a stream is cut, within a character as well", async () => {
  const euro = new TextEncoder().encode("€");
  const stream = parts("a\nb", "c\r\n", euro.subarray(0, 1), euro.subarray(1), "\n\nlast");
  assert.deepEqual(await all(lines(stream)), ["a", "bc", "€", "", "last"]);
});

test("an event that the end cuts off is none", async () => {
  const stream = parts(": hello\n\nid: 1\nevent: change\ndata: a\ndata: b\n\nid: 2\ndata: half");
  const found = await all(serverEvents(stream));
  assert.deepEqual(found, [{ id: "1", name: "change", data: "a\nb" }]);
});

test("a file is read as it comes, and leaving it ends the request", async () => {
  let ended: Promise<unknown> | undefined;
  await using fixture = await Fixture.of(
    inside((_, response) => {
      ended = once(response, "close");
      const more = (): void => {
        // Without an end: whoever wanted all of it would wait for ever.
        while (!response.destroyed && response.write(Buffer.alloc(65536))) {
          // until the socket is full
        }
      };
      response.writeHead(200);
      response.on("drain", more);
      more();
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  let size = 0;
  for await (const part of await files.read("endless")) {
    size += part.length;
    if (size > 1_000_000) {
      break;
    }
  }
  await ended;
  assert.ok(size < 10_000_000);
});

test("a file is written as it comes", async () => {
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      assert.equal(request.headers["transfer-encoding"], "chunked");
      assert.equal(request.url, "/api/v1/workspaces/w/files/content?path=a+b%2F%C3%A9&mode=0755");
      json(response, 201, { size: body.length });
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  const entry: Entry = await files.write("a b/é", parts("one", "two"), { mode: "0755" });
  assert.equal(entry.size, 6);
});

test("an upload goes on where it was cut off, and says the whole's digest", async () => {
  const content = Buffer.from(Array.from({ length: 10_000 }, (_, index) => index % 251));
  let there = Buffer.alloc(0);
  let [pieces, completed] = [0, ""];
  const state = (): unknown => ({
    id: "u",
    path: "/a",
    size: content.length,
    offset: there.length,
  });
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      const { method = "", url = "" } = request;
      if (method === "POST" && url.endsWith("/uploads")) {
        json(response, 201, state());
      } else if (method === "PATCH") {
        pieces += 1;
        const at = Number(request.headers["upload-offset"]);
        if (at !== there.length) {
          response.writeHead(409);
          const told = { status: 409, code: "wrong-offset", detail: "", offset: there.length };
          response.end(JSON.stringify(told));
          return;
        }
        if (pieces === 2) {
          // Half of it came.
          there = Buffer.concat([there, body.subarray(0, 500)]);
          request.socket.destroy();
          return;
        }
        there = Buffer.concat([there, body]);
        if (pieces === 4) {
          request.socket.destroy(); // and the answer is lost
          return;
        }
        json(response, 200, state());
      } else if (method === "GET" && url.includes("/stat?")) {
        problem(response, 404, "not-found");
      } else if (method === "GET") {
        json(response, 200, state());
      } else {
        completed = (JSON.parse(body.toString()) as { sha256: string }).sha256;
        json(response, 200, { size: there.length });
      }
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "devgate-"));
  try {
    const file = join(folder, "file");
    await writeFile(file, content);
    const { files } = await fixture.devgate.workspaces.get("w");
    const told: number[] = [];
    const entry = await files.upload("a", file, {
      pieceSize: 1000,
      onProgress: ({ sent }) => told.push(sent),
    });
    assert.equal(entry.size, content.length);
    assert.ok(there.equals(content));
    assert.equal(completed, createHash("sha256").update(content).digest("hex"));
    assert.deepEqual(told.slice(0, 3), [0, 1000, 1500]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("an upload that was begun before is gone on with", async () => {
  const content = Buffer.from("0123456789");
  let completed = "";
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      if (request.method === "GET") {
        json(response, 200, { id: "u", path: "/a", size: 10, offset: 7 });
      } else if (request.method === "PATCH") {
        assert.equal(request.headers["upload-offset"], "7");
        assert.equal(body.toString(), "789");
        json(response, 200, { id: "u", path: "/a", size: 10, offset: 10 });
      } else {
        completed = (JSON.parse(body.toString()) as { sha256: string }).sha256;
        json(response, 200, { size: 10 });
      }
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  await files.upload("a", content, { resume: "u" });
  assert.equal(completed, createHash("sha256").update(content).digest("hex"));
});

test("a download goes on where it was cut off, unless the file has changed", async () => {
  let [count, changed] = [0, false];
  await using fixture = await Fixture.of(
    inside((request, response) => {
      count += 1;
      if (count === 1) {
        response.writeHead(200, { etag: '"1"', "content-length": "10" });
        response.write("01234");
        setTimeout(() => request.socket.destroy(), 50);
      } else if (changed) {
        response.writeHead(200, { etag: '"2"' });
        response.end("another one");
      } else {
        assert.equal(request.headers.range, "bytes=5-");
        assert.equal(request.headers["if-range"], '"1"');
        response.writeHead(206, { etag: '"1"' });
        response.end("56789");
      }
    }),
  );
  const folder = await mkdtemp(join(tmpdir(), "devgate-"));
  try {
    const file = join(folder, "file");
    const { files } = await fixture.devgate.workspaces.get("w");
    await files.download("a", file);
    assert.equal(await readFile(file, "utf8"), "0123456789");
    [count, changed] = [0, true];
    await assert.rejects(files.download("a", file), { code: "changed" });
    assert.equal(await readFile(file, "utf8"), "0123456789");
    assert.deepEqual(await readdir(folder), ["file"]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a search tells how it ended, and one without an end is an error", async () => {
  let whole = true;
  await using fixture = await Fixture.of(
    inside((_, response) => {
      response.write('{"path":"/a","line":1,"text":"x"}\n');
      response.end(whole ? '{"done":true,"truncated":true,"found":1}\n' : "");
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  const search = files.grep("", "x", { ignoreCase: true });
  assert.deepEqual(
    (await all(search)).map(({ path }) => path),
    ["/a"],
  );
  assert.equal(search.end?.truncated, true);
  assert.match(fixture.asked.at(-1)?.url ?? "", /ignore_case=true/);
  whole = false;
  await assert.rejects(all(files.grep("", "x")), ConnectionFailed);
});

test("what isn't there isn't, and what may not be seen is an error", async () => {
  let status = 404;
  await using fixture = await Fixture.of(
    inside((_, response) => problem(response, status, "some-code")),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  assert.equal(await files.exists("a"), false);
  status = 403;
  await assert.rejects(files.exists("a"), { status: 403 });
});

test("an upload has succeeded whose last answer was lost, where the file is new", async () => {
  for (const [etag, isNew] of [
    ['"2"', true],
    ['"1"', false],
  ] as const) {
    let completions = 0;
    await using fixture = await Fixture.of(
      inside((request, response) => {
        const { method = "", url = "" } = request;
        if (url.endsWith("/complete")) {
          completions += 1;
          if (completions === 1) {
            request.socket.destroy();
          } else {
            problem(response, 404, "no-upload");
          }
        } else if (url.endsWith("/files/stat?path=%2Fa")) {
          const tag = completions === 0 ? '"1"' : etag;
          json(response, 200, { path: "/a", kind: "file", size: 3, etag: tag });
        } else {
          const offset = method === "PATCH" ? 3 : 0;
          json(response, 200, { id: "u", path: "/a", size: 3, offset });
        }
      }),
    );
    const { files } = await fixture.devgate.workspaces.get("w");
    const uploading = files.upload("a", new Uint8Array(3));
    if (isNew) {
      assert.equal((await uploading).etag, etag);
    } else {
      await assert.rejects(uploading, { code: "no-upload" });
    }
    assert.equal(completions, 2);
  }
});

test("what a list tells of can be read, shown and deleted, whatever bytes its name has", async () => {
  const paths: string[] = [];
  await using fixture = await Fixture.of(
    inside((request, response) => {
      const { method = "", url = "" } = request;
      const rest = url.replace("/api/v1/workspaces/w/files", "");
      if (rest.startsWith("/list")) {
        const items = [
          { path: "/home/\u{fffd} +%41", raw_path: "/home/%FF%20%2B%2541" },
          { path: "/home/%41", raw_path: null },
        ];
        json(response, 200, { items, next: null });
        return;
      }
      paths.push(`${method} ${rest}`);
      if (method === "DELETE") {
        response.writeHead(204).end();
      } else {
        json(response, 200, {});
      }
    }),
  );
  const { files } = await fixture.devgate.workspaces.get("w");
  for await (const entry of files.list()) {
    await files.stat(entry, { follow: false });
    await files.readBytes(entry);
    await files.delete(entry);
  }
  await files.stat(Buffer.from([0x2f, 0xff]));
  assert.deepEqual(paths, [
    "GET /stat?follow=false&path=/home/%FF%20%2B%2541",
    "GET /content?path=/home/%FF%20%2B%2541",
    "DELETE ?path=/home/%FF%20%2B%2541",
    "GET /stat?path=%2Fhome%2F%2541&follow=false",
    "GET /content?path=%2Fhome%2F%2541",
    "DELETE ?path=%2Fhome%2F%2541",
    "GET /stat?path=/%FF",
  ]);
});

test("what is no UTF-8 is moved, copied, made and watched, too", async () => {
  const raw = { path: "/\u{fffd}+", raw_path: "/%FF%2B" };
  const bytes = Buffer.from([0x2f, 0xff, 0x2b]);
  const bodies: unknown[] = [];
  const stats: string[] = [];
  await using fixture = await Fixture.of(
    inside((request, response, body) => {
      const { method = "", url = "" } = request;
      if (method === "DELETE") {
        response.writeHead(204).end();
      } else if (method === "GET") {
        stats.push(url.split("?")[1] ?? "");
        problem(response, 404, "no-file");
      } else {
        const what = url.split("/").at(-1);
        if (what !== "complete") {
          bodies.push([what, JSON.parse(body.toString("utf8"))]);
        }
        json(response, 200, { id: "u", path: raw.path, size: 1, offset: 1, sequence: 0 });
      }
    }),
  );
  const workspace = await fixture.devgate.workspaces.get("w");
  const { files } = workspace;
  await files.move(raw, "plain");
  await files.copy("plain", bytes, { overwrite: true });
  await files.setMode(raw, "0600");
  await files.makeFolder(bytes, { parents: true });
  await files.link(raw, "target");
  await files.upload(bytes, new Uint8Array(1));
  const watch = await workspace.watch(raw);
  await watch.close();
  const to = { to: raw.path, raw_to: raw.raw_path };
  assert.deepEqual(bodies, [
    ["move", { from: raw.path, raw_from: raw.raw_path, to: "plain" }],
    ["copy", { from: "plain", ...to, overwrite: true }],
    ["mode", { ...raw, mode: "0600" }],
    ["folder", { ...raw, parents: true }],
    ["link", { ...raw, target: "target" }],
    ["uploads", { ...raw, size: 1 }],
    ["watches", raw],
  ]);
  assert.deepEqual(stats, ["path=/%FF%2B"]);
});
