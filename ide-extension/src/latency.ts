/** How long the way to a gateway and back takes. */

/** Measurements that count, and how many misses make a gateway unreachable. */
const KEPT = 5;
const MISSES = 2;

/** Keeps the last measurements. */
export class Latency {
  private times: number[] = [];
  private misses = 0;

  measured(milliseconds: number): void {
    this.misses = 0;
    this.times = [...this.times, milliseconds].slice(-KEPT);
  }

  missed(): void {
    this.misses += 1;
  }

  /** Whether nothing comes back any more. */
  get isLost(): boolean {
    return this.misses >= MISSES;
  }

  /** Returns the middle one, in milliseconds: a single slow answer says nothing. */
  get typical(): number | undefined {
    const sorted = [...this.times].sort((a, b) => a - b);
    return sorted[Math.floor((sorted.length - 1) / 2)];
  }
}

/** Returns a time as it is shown. */
export function shown(milliseconds: number): string {
  return milliseconds < 1 ? "< 1 ms" : `${Math.round(milliseconds)} ms`;
}
