/** What a terminal's WebSocket carries beside output and keystrokes, whoever shows the terminal. */

/** Bytes that were drawn before an acknowledgement is sent while more is waiting. */
const ACKNOWLEDGE_EACH = 16 * 1024;

type Message =
  | { type: "exit"; status: number }
  | { type: "size"; columns: number; rows: number }
  | { type: "title"; title: string };

/** Parses a text message. Returns `undefined` for what a newer agent may send. */
export function parseMessage(text: string): Message | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { type, status, columns, rows, title } = value as Record<string, unknown>;
  if (type === "exit") return { type, status: typeof status === "number" ? status : 0 };
  if (type === "size" && isSize(columns) && isSize(rows)) return { type, columns, rows };
  if (type === "title" && typeof title === "string") return { type, title };
  return undefined;
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 2000;
}

/** Counts drawn bytes and says when to acknowledge them. */
export class Acknowledgements {
  private drawn = 0;
  private waiting = 0;

  received(bytes: number): void {
    this.waiting += bytes;
  }

  /** Returns how many bytes to acknowledge now, or 0 to let them gather. */
  done(bytes: number): number {
    this.waiting -= bytes;
    this.drawn += bytes;
    if (this.waiting > 0 && this.drawn < ACKNOWLEDGE_EACH) return 0;
    const due = this.drawn;
    this.drawn = 0;
    return due;
  }
}
