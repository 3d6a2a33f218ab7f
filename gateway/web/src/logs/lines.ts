/** Lines of a log, the last ones of however many come. */

/** Most lines that are kept. */
export const MOST_LINES = 20_000;

// Colours and cursor movements that programs write to terminals (ECMA-48).
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-_])/g;

export function plain(line: string): string {
  return line.replace(ESCAPES, "").replace(/\r$/, "");
}

/** Returns lines with others after them, without the oldest where there are too many. */
export function append(lines: readonly string[], more: readonly string[]): string[] {
  const all = [...lines, ...more.map(plain)];
  return all.length > MOST_LINES ? all.slice(all.length - MOST_LINES) : all;
}

/** Returns the lines that contain all words, whatever their case. */
export function search(lines: readonly string[], text: string): readonly string[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return lines;
  return lines.filter((line) => {
    const lower = line.toLowerCase();
    return words.every((word) => lower.includes(word));
  });
}

export type Level = "error" | "warn" | "other";

/** Returns how bad a line looks. */
export function level(line: string): Level {
  const head = line.slice(0, 160);
  if (/\b(?:ERROR|FATAL|PANIC|panicked)\b|"level":\s*"(?:error|fatal)"/.test(head)) return "error";
  if (/\bWARN(?:ING)?\b|"level":\s*"warn/.test(head)) return "warn";
  return "other";
}
