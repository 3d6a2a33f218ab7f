/**
 * The link between a terminal on the page and its shell in the workspace: a WebSocket
 * that comes back after a break.
 *
 * Binary messages are the shell's output and the person's keystrokes; text messages
 * are JSON. The shell's side sends at most 256 KiB that weren't acknowledged, so a page
 * that draws slowly, or a hidden tab, slows the shell and not the browser.
 */

import { Acknowledgements, parseMessage } from "./messages";

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 8000;

export type LinkState = "connecting" | "open" | "lost" | "exited" | "gone";

/** What shows the terminal. */
export interface Screen {
  /** Draws output and calls `drawn` when that is done. */
  write: (data: Uint8Array, drawn: () => void) => void;
  /** Forgets everything: the whole screen comes next. */
  reset: () => void;
  /** The size that the terminal has now: the smallest of all that show it. */
  resized: (columns: number, rows: number) => void;
  titled: (title: string) => void;
}

export interface LinkOptions {
  /** Returns the WebSocket's address for a size. */
  url: (columns: number, rows: number) => string;
  screen: Screen;
  changed: (state: LinkState, exitStatus?: number) => void;
  /** Whether the terminal is still there; asked before the link is tried again. */
  alive: () => Promise<boolean>;
}

export class TerminalLink {
  private socket: WebSocket | undefined;
  private timer: number | undefined;
  private pause = FIRST_PAUSE;
  private closed = false;
  private ended = false;
  private columns = 80;
  private rows = 24;
  private readonly bytes = new TextEncoder();
  /** The first half of a character whose other half comes with the next keypress. */
  private half = "";

  constructor(private readonly options: LinkOptions) {}

  open(columns: number, rows: number): void {
    this.columns = columns;
    this.rows = rows;
    this.connect();
    window.addEventListener("online", this.hurry);
    document.addEventListener("visibilitychange", this.hurry);
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    window.removeEventListener("online", this.hurry);
    document.removeEventListener("visibilitychange", this.hurry);
    this.socket?.close(1000);
    this.socket = undefined;
  }

  /**
   * Sends what was typed. What is typed while the link is lost is dropped, as the person sees.
   *
   * A character beyond U+FFFF may come as two keypresses, one for each half of it in UTF-16; only
   * both together have a form in UTF-8.
   */
  send(text: string): void {
    if (this.socket?.readyState !== WebSocket.OPEN) {
      this.half = "";
      return;
    }
    const typed = this.half + text;
    const end = isHighSurrogate(typed.charCodeAt(typed.length - 1)) ? typed.length - 1 : typed.length;
    this.half = typed.slice(end);
    if (end > 0) this.socket.send(this.bytes.encode(typed.slice(0, end)));
  }

  /** Sends bytes as they are, one a character: some mouse reports aren't text. */
  sendBinary(text: string): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(Uint8Array.from(text, (character) => character.charCodeAt(0) & 0xff));
  }

  /**
   * Takes note of the size that there is room for. Returns whether the other side was told: then
   * it answers with the size that the terminal has, which another tab may hold smaller.
   */
  resize(columns: number, rows: number): boolean {
    this.columns = columns;
    this.rows = rows;
    return this.tell({ type: "resize", columns, rows });
  }

  private tell(message: Record<string, unknown>): boolean {
    if (this.socket?.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  /** Tries at once where there is reason to believe that it works again. */
  private readonly hurry = () => {
    if (this.timer === undefined || document.visibilityState === "hidden") return;
    this.pause = FIRST_PAUSE;
    this.connect();
  };

  private connect(): void {
    window.clearTimeout(this.timer);
    this.timer = undefined;
    this.options.changed("connecting");
    const { columns, rows } = this;
    this.half = "";
    const socket = new WebSocket(this.options.url(columns, rows));
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    // Each link counts for itself: what an old one still draws isn't this one's.
    const acknowledgements = new Acknowledgements();
    let first = true;
    socket.onopen = () => {
      this.pause = FIRST_PAUSE;
      if (columns !== this.columns || rows !== this.rows) this.resize(this.columns, this.rows);
      this.options.changed("open");
    };
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      if (typeof event.data === "string") {
        this.take(event.data);
        return;
      }
      const data = new Uint8Array(event.data);
      if (first) this.options.screen.reset();
      first = false;
      acknowledgements.received(data.length);
      this.options.screen.write(data, () => {
        const due = acknowledgements.done(data.length);
        if (due > 0 && this.socket === socket) this.tell({ type: "ack", bytes: due });
      });
    };
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = undefined;
      if (!this.closed && !this.ended) void this.again();
    };
  }

  private take(text: string): void {
    const message = parseMessage(text);
    if (!message) return;
    switch (message.type) {
      case "exit":
        this.ended = true;
        this.options.changed("exited", message.status);
        break;
      case "size":
        this.options.screen.resized(message.columns, message.rows);
        break;
      case "title":
        this.options.screen.titled(message.title);
        break;
    }
  }

  private async again(): Promise<void> {
    this.options.changed("lost");
    const alive = await this.options.alive();
    if (this.closed || this.socket !== undefined) return;
    if (!alive) {
      this.options.changed("gone");
      return;
    }
    this.timer = window.setTimeout(() => this.connect(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
  }
}

/** Whether a UTF-16 code unit is the first half of a character. */
function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
