/** Statistics as lines: shaping numbers for charts. */
import type { Sample } from "../api/types";

/** Returns an SVG path through values, `width` × `height` units, from 0 to `top`. */
export function sparkline(values: readonly number[], width: number, height: number, top?: number): string {
  if (values.length === 0) return "";
  const highest = Math.max(top ?? 0, ...values) || 1;
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  return values
    .map((value, index) => {
      const x = (index * step).toFixed(1);
      // A line along the border would be cut in half.
      const y = (1 + (height - 2) * (1 - value / highest)).toFixed(1);
      return `${index === 0 ? "M" : "L"}${x} ${y}`;
    })
    .join("");
}

export type Points = [number[], ...(number | null)[][]];

/**
 * Returns times (in seconds) and series for a chart. Where samples are missing, as
 * while the workspace was stopped, the line has a gap instead of a slope.
 */
export function points(
  samples: readonly Sample[],
  interval: number,
  series: readonly ((sample: Sample) => number)[],
): Points {
  const times: number[] = [];
  const lines: (number | null)[][] = series.map(() => []);
  for (const sample of samples) {
    const time = Date.parse(sample.time) / 1000;
    const before = times.at(-1);
    if (before !== undefined && time - before > interval * 2.5) {
      times.push(before + interval);
      for (const line of lines) line.push(null);
    }
    times.push(time);
    series.forEach((value, index) => lines[index]?.push(value(sample)));
  }
  return [times, ...lines];
}

export interface Summary {
  now: number;
  average: number;
  highest: number;
}

/** Returns what a chart shows, in three numbers. */
export function summary(samples: readonly Sample[], value: (sample: Sample) => number): Summary | null {
  const values = samples.map(value);
  const now = values.at(-1);
  if (now === undefined) return null;
  return {
    now,
    average: values.reduce((sum, one) => sum + one, 0) / values.length,
    highest: Math.max(...values),
  };
}
