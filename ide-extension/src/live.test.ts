import type { IncomingMessage, ServerResponse } from "node:http";

import { afterEach, beforeEach, expect, test } from "vitest";

import { Gateway } from "./api/gateway";
import { Live, type SleepSoon } from "./live";
import { CONNECTION, json, serve, type Serving, WORKSPACE } from "./testing";

const SOON = Date.now() + 600_000;

let serving: Serving;
let live: Live;
/** What was told. */
let told: SleepSoon[];
/** Whether people have been warned, as the server says it. */
let warned: boolean;
/** Streams of events that are open, and what the requests for them say. */
let streams: ServerResponse[];
let seen: (string | undefined)[];
/** Answers with the list of workspaces. */
let list: (response: ServerResponse) => void;
let ports: number;
let whys: number;

beforeEach(async () => {
  [told, warned, streams, seen, ports, whys] = [[], false, [], [], 0, 0];
  list = (response) => json(response, 200, { items: [WORKSPACE], next: null });
  serving = await serve(answer);
  live = new Live(
    { url: serving.url, user: WORKSPACE.owner, trust: { by: "system" } },
    new Gateway(serving.url, { by: "system" }, "dgt_x"),
    { changed: () => undefined, sleepSoon: (soon) => told.push(soon) },
  );
});

afterEach(async () => {
  live.dispose();
  await serving.close();
});

function answer({ url = "", headers }: IncomingMessage, response: ServerResponse): void {
  if (url === "/api/v1/connection") json(response, 200, CONNECTION);
  else if (url.endsWith("/why-running")) {
    whys += 1;
    json(response, 200, { warned, sleeps_at: warned ? new Date(SOON).toISOString() : null });
  } else if (url.endsWith("/ports")) {
    ports += 1;
    response.once("close", () => (ports -= 1));
    open(response);
  } else if (url === "/api/v1/events") {
    streams.push(response);
    seen.push(headers["last-event-id"]?.toString());
    open(response);
  } else list(response);
}

function open(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "text/event-stream" }).write(": alive\n\n");
}

/** Says over a stream that the workspace goes to sleep. */
function warn(stream: ServerResponse | undefined, id: number, at: number): void {
  const event = { workspace: { id: WORKSPACE.id }, data: { at: new Date(at).toISOString() } };
  stream?.write(`id: ${id}\nevent: workspace-sleep-soon\ndata: ${JSON.stringify(event)}\n\n`);
}

test("who comes after the warning is told, and no second time", async () => {
  warned = true;
  live.start();
  await expect.poll(() => told).toEqual([{ workspace: WORKSPACE, at: SOON }]);
  warn(streams[0], 7, SOON + 50);
  streams[0]?.end();
  await expect.poll(() => seen, { timeout: 4000 }).toEqual([undefined, "7"]);
  await expect.poll(() => whys).toBe(2);
  await live.refresh();
  expect(told).toHaveLength(1);
});

test("a warning counts that came before the workspaces were known, and one that is past doesn't", async () => {
  const known = list;
  list = (response) => {
    list = known;
    warn(streams[0], 7, Date.now() - 1000);
    warn(streams[0], 8, SOON);
    streams[0]?.write(": alive\n\n", () => known(response));
  };
  live.start();
  await expect.poll(() => told).toEqual([{ workspace: WORKSPACE, at: SOON }]);
});

test("ports that are followed again are unfollowed as well", async () => {
  live.followPorts(WORKSPACE.id);
  await expect.poll(() => ports).toBe(1);
  live.unfollowPorts(WORKSPACE.id);
  live.followPorts(WORKSPACE.id);
  // By then the first one has ended.
  await live.refresh();
  live.unfollowPorts(WORKSPACE.id);
  await expect.poll(() => ports).toBe(0);
});
