import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { paced } from "./paced";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it("hands on the first value at once, and the latest of many at the pause's end", () => {
  const taken: number[] = [];
  const say = paced((value: number) => taken.push(value), 100);
  for (let value = 1; value <= 50; value += 1) say(value);
  expect(taken).toEqual([1]);
  vi.advanceTimersByTime(100);
  expect(taken).toEqual([1, 50]);
  vi.advanceTimersByTime(1000);
  expect(taken).toEqual([1, 50]);
  say(51);
  expect(taken).toEqual([1, 50, 51]);
});
