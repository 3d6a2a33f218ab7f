import { describe, expect, it } from "vitest";

import type { Sample } from "../api/types";
import { points, sparkline, summary } from "./series";

function sample(second: number, cpu: number): Sample {
  return {
    time: new Date(second * 1000).toISOString(),
    cpu_percent: cpu,
    memory_bytes: 0,
    disk_bytes: 0,
    received_bytes_per_second: 0,
    sent_bytes_per_second: 0,
    processes: 1,
  };
}

const cpu = (one: Sample) => one.cpu_percent;

describe("a chart's points", () => {
  it("have a gap where samples are missing", () => {
    const samples = [sample(0, 1), sample(10, 2), sample(100, 3), sample(110, 4)];
    expect(points(samples, 10, [cpu])).toEqual([
      [0, 10, 20, 100, 110],
      [1, 2, null, 3, 4],
    ]);
  });

  it("have none for a sample that is late", () => {
    expect(points([sample(0, 1), sample(19, 2)], 10, [cpu])).toEqual([
      [0, 19],
      [1, 2],
    ]);
  });
});

it("a summary tells the last, the average and the highest value", () => {
  expect(summary([sample(0, 1), sample(10, 5), sample(20, 3)], cpu)).toEqual({
    now: 3,
    average: 3,
    highest: 5,
  });
  expect(summary([], cpu)).toBeNull();
});

it("a small line stays inside its box", () => {
  expect(sparkline([], 100, 24)).toBe("");
  expect(sparkline([0, 50, 100], 100, 24, 100)).toBe("M0.0 23.0L50.0 12.0L100.0 1.0");
  expect(sparkline([0, 0], 100, 24)).toBe("M0.0 23.0L100.0 23.0");
});
