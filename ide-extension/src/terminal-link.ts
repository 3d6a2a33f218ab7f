/**
 * The link between a terminal of the editor and its shell in the workspace: a WebSocket
 * that comes back after a break.
 *
 * Binary messages are the shell's output and the person's keystrokes; text messages are JSON.
 */
import WebSocket from "ws";

import { Acknowledgements, parseMessage } from "../../gateway/web/src/terminal/messages";
import { type Gateway, isOver, rest, tls } from "./api/gateway";

/** Longest handshake, in milliseconds. */
const HANDSHAKE = 20_000;

/** Largest message that is taken, in bytes: a repaint is a screen and its scrollback. */
const LARGEST = 32 * 1024 * 1024;

/** A link that says nothing for so long is dead, in milliseconds: the agent pings every 30 s. */
const SILENCE = 45_000;

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 8000;

/** Clears the screen, its scrollback and all modes: the whole screen comes next. */
const RESET = "\u001bc\u001b[3J";

export interface TerminalSize {
  columns: number;
  rows: number;
}

export interface TerminalScreen {
  write: (text: string) => void;
  titled: (title: string) => void;
  /** The link broke, and is tried again. */
  lost: () => void;
  /** The shell ended, or (`undefined`) nothing of it is left. */
  ended: (status: number | undefined) => void;
}

export class TerminalLink {
  private socket: WebSocket | undefined;
  private readonly stop = new AbortController();
  private isOver = false;

  constructor(
    private readonly gateway: Gateway,
    /** Where it is, without its size. */
    private readonly path: string,
    private size: TerminalSize,
    private readonly screen: TerminalScreen,
    /** Whether the terminal is still there; asked before the link is tried again. */
    private readonly alive: () => Promise<boolean>,
  ) {}

  /** Shows the terminal until it has ended or is closed. */
  async run(): Promise<void> {
    let pause = FIRST_PAUSE;
    while (!this.stop.signal.aborted) {
      await this.connect(() => (pause = FIRST_PAUSE));
      if (isOver(this.stop.signal) || this.isOver) return;
      if (!(await this.alive())) {
        this.screen.ended(undefined);
        return;
      }
      this.screen.lost();
      await rest(pause * (0.75 + Math.random() / 2), this.stop.signal);
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    }
  }

  close(): void {
    this.stop.abort();
    this.socket?.close(1000);
  }

  /** Sends what was typed. What is typed while the link is lost is dropped, as the person sees. */
  type(text: string): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(Buffer.from(text, "utf8"));
  }

  resize(size: TerminalSize): void {
    this.size = size;
    this.tell({ type: "resize", ...size });
  }

  private tell(message: Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Resolves when the connection is over, however it ended. */
  private connect(opened: () => void): Promise<void> {
    const { columns, rows } = this.size;
    const address = `${this.gateway.url.replace(/^http/, "ws")}${this.path}?columns=${columns}&rows=${rows}`;
    const socket = new WebSocket(address, {
      headers: this.gateway.authorization(),
      handshakeTimeout: HANDSHAKE,
      maxPayload: LARGEST,
      perMessageDeflate: false,
      followRedirects: false,
      ...tls(this.gateway.trust),
    });
    this.socket = socket;
    const acknowledgements = new Acknowledgements();
    const decoder = new TextDecoder();
    let first = true;
    // After sleep, or behind a router that forgot, nothing comes any more, and no end either.
    const silence = setTimeout(() => socket.terminate(), SILENCE);
    socket.on("ping", () => silence.refresh());
    socket.on("open", opened);
    socket.on("message", (data: Buffer, isBinary) => {
      silence.refresh();
      if (!isBinary) {
        this.take(data.toString("utf8"));
        return;
      }
      acknowledgements.received(data.length);
      this.screen.write((first ? RESET : "") + decoder.decode(data, { stream: true }));
      first = false;
      const due = acknowledgements.done(data.length);
      if (due > 0) this.tell({ type: "ack", bytes: due });
    });
    return new Promise((resolve) => {
      // An error is followed by the close.
      socket.on("error", () => undefined);
      socket.on("close", () => {
        clearTimeout(silence);
        this.socket = undefined;
        resolve();
      });
    });
  }

  private take(text: string): void {
    const message = parseMessage(text);
    switch (message?.type) {
      case "exit":
        this.isOver = true;
        this.screen.ended(message.status);
        break;
      case "title":
        this.screen.titled(message.title);
        break;
      case "size": // The smallest of all that show it: the editor's own can't be made smaller.
      case undefined:
        break;
    }
  }
}
