import { expect, test } from "vitest";

import type { Port, Statistics } from "./api/types";
import { unproxied } from "./browse";
import { bytes, context, details, percent, portSummary, summary, title, until, usage } from "./describe";
import { Latency, shown } from "./latency";
import { isTold, sleepSoon } from "./live";
import { WORKSPACE } from "./testing";

const NOW = Date.parse("2026-01-01T00:01:00Z");

function statistics(time: string): Statistics {
  const sample = {
    time,
    cpu_percent: 100,
    memory_bytes: 512 * 1024 * 1024,
    disk_bytes: 0,
    processes: 7,
    received_bytes_per_second: 0,
    sent_bytes_per_second: 0,
  };
  return {
    interval_seconds: 10,
    cpu_count: 4,
    memory_total: 2 * 1024 ** 3,
    disk_total: 0,
    samples: [sample],
  };
}

test("a workspace shows its state and what it uses now", () => {
  const used = usage(statistics("2026-01-01T00:00:55Z"), NOW);
  expect(summary(WORKSPACE, used)).toBe("running · CPU 25 % · 512 MiB");
  expect(details(WORKSPACE, used).join("\n")).toContain("7 processes\nMemory 512 MiB of 2 GiB");
  // What was measured long ago isn't now.
  expect(usage(statistics("2025-12-31T23:00:00Z"), NOW)).toBeUndefined();
  const failed = { ...WORKSPACE, state: "failed", reason: { code: "x", detail: "no image" } } as const;
  expect(summary(failed, used)).toBe("failed · no image");
});

test("menus know what can be done with it", () => {
  expect(context(WORKSPACE)).toBe("workspace stoppable running enterable");
  expect(context({ ...WORKSPACE, state: "asleep", may_enter: false })).toBe("workspace startable");
  expect(title(WORKSPACE, "ada")).toBe("api");
  expect(title(WORKSPACE, "bob")).toBe("api.ada");
});

test("a port says who may open it", () => {
  const port: Port = {
    port: 8080,
    name: null,
    address: "127.0.0.1",
    process: "node",
    pid: 1,
    since: null,
    listening: true,
    visibility: "members",
    expires_at: null,
    url: "https://8080--api--ada.dev.example.com/",
  };
  expect(portSummary(port)).toBe("node · members");
  expect(portSummary({ ...port, listening: false, name: "web" })).toBe("web · nothing listens · members");
});

test("numbers are for people", () => {
  expect([0, 999, 1024, 1536 * 1024, 10 * 1024 ** 3].map(bytes)).toEqual([
    "0 B",
    "999 B",
    "1 KiB",
    "1.5 MiB",
    "10 GiB",
  ]);
  expect([0.04, 3.14, 42.4].map(percent)).toEqual(["0 %", "3.1 %", "42 %"]);
  expect([5, 600, 7200, 3 * 3600].map((seconds) => until(NOW + seconds * 1000, NOW))).toEqual([
    "5 s",
    "10 min",
    "2 h",
    "3 h",
  ]);
});

test("one slow answer isn't far away, and two that don't come are", () => {
  const latency = new Latency();
  expect(latency.typical).toBeUndefined();
  for (const time of [10, 12, 900, 11, 13]) latency.measured(time);
  expect(latency.typical).toBe(12);
  latency.missed();
  expect(latency.isLost).toBe(false);
  latency.missed();
  expect(latency.isLost).toBe(true);
  latency.measured(10);
  expect(latency.isLost).toBe(false);
  expect([0.3, 12.4].map(shown)).toEqual(["< 1 ms", "12 ms"]);
});

test("an event says which workspace sleeps soon, and when", () => {
  const event = { workspace: { id: "x", name: "api" }, data: { at: "2026-01-01T00:01:00Z" } };
  expect(sleepSoon(event)).toEqual({ workspace: "x", at: NOW });
  for (const bad of [undefined, {}, { workspace: { id: "x" } }, { ...event, data: { at: "soon" } }]) {
    expect(sleepSoon(bad)).toBeUndefined();
  }
});

test("an administrator isn't bothered with the sleep of other people's workspaces", () => {
  const [looked, hidden] = [
    { shows: false, focused: true },
    { shows: false, focused: false },
  ];
  expect(isTold(false, looked)).toBe(false);
  expect(isTold(true, looked)).toBe(true);
  expect(isTold(true, hidden)).toBe(false);
  // Whoever works in it hears of it, whosever it is.
  expect(isTold(false, { shows: true, focused: false })).toBe(true);
});

test("a gateway on this host is opened as it is, where the editor is in the browser", () => {
  const page = "https://localhost:8443/device#code=WDJB-MJHT";
  expect(new URL(unproxied(page)).href).toBe(page);
  expect(unproxied(page)).not.toContain("localhost");
  const other = "http://127.0.0.1/x";
  expect(new URL(unproxied(other)).href).toBe(other);
  expect(unproxied(other)).not.toContain("127.0.0.1");
  for (const same of ["https://localhost.example.com/", "https://dev.example.com/#localhost"]) {
    expect(unproxied(same)).toBe(same);
  }
});
