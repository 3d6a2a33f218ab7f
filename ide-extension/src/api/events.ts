/** Server-sent events, as text comes in pieces. */

/** One event. */
export interface ServerEvent {
  kind: string;
  data: string;
}

/** Most characters of an event: more is no gateway's. */
const MOST = 4 * 1024 * 1024;

/** Takes a stream apart. */
export class EventParser {
  private text = "";
  private kind = "message";
  private data: string[] = [];
  private id: string | undefined;
  /** The last event's id, which whoever asks again says: it goes on from there. */
  lastId: string | undefined;

  /** Returns the events that a piece completes. */
  push(piece: string): ServerEvent[] {
    this.text += piece;
    if (this.text.length > MOST || this.data.length > MOST / 16) throw new Error("an event is too large");
    const events: ServerEvent[] = [];
    const lines = this.text.split(/\r\n|\n/);
    this.text = lines.pop() ?? "";
    for (const line of lines) {
      const event = this.line(line);
      if (event) events.push(event);
    }
    return events;
  }

  private line(line: string): ServerEvent | undefined {
    if (line === "") {
      const event = this.data.length > 0 ? { kind: this.kind, data: this.data.join("\n") } : undefined;
      this.kind = "message";
      this.data = [];
      this.lastId = this.id;
      return event;
    }
    // What begins with a colon only shows that the stream lives.
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === "event") this.kind = value ?? "";
    if (name === "data") this.data.push(value ?? "");
    // One that no header can carry is none.
    if (name === "id" && /^[!-~]+$/.test(value ?? "")) this.id = value;
    return undefined;
  }
}
