/** What happens, as it happens: streams come back after a break, and rest while the tab is hidden. */
import type { LiveEvent } from "./types";

/** First and longest pause before a lost stream is asked for again, in milliseconds. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

export interface LiveOptions {
  /** Path of the stream. */
  url: string;
  /** Names of the events that are wanted. */
  events: readonly string[];
  /** Called for each of them with its data. */
  receive: (event: string, data: unknown) => void;
  /** Called when the stream is there (again): what was fetched before it may be old. */
  opened?: () => void;
  /** Called when it breaks; it is asked for again. */
  broken?: () => void;
}

/**
 * Follows a stream until the returned function is called.
 *
 * It is a WebSocket: of HTTP/1.1's connections browsers keep six to a host for all tabs
 * together, and streams would soon hold them all. A hidden tab needs none of it.
 */
export function follow(options: LiveOptions): () => void {
  let socket: WebSocket | undefined;
  let timer: number | undefined;
  let pause = FIRST_PAUSE;

  const close = () => {
    window.clearTimeout(timer);
    timer = undefined;
    const current = socket;
    socket = undefined;
    current?.close(1000);
  };
  const open = () => {
    close();
    const current = new WebSocket(socketAddress(options.url));
    socket = current;
    current.onopen = () => {
      if (socket !== current) return;
      pause = FIRST_PAUSE;
      options.opened?.();
    };
    current.onmessage = (message: MessageEvent<unknown>) => {
      const event = parse(message.data);
      if (socket === current && event && options.events.includes(event.event)) {
        options.receive(event.event, event.data);
      }
    };
    // Whatever the reason: what has ended for good is found out by asking for it again.
    current.onclose = () => {
      if (socket !== current) return;
      socket = undefined;
      options.broken?.();
      timer = window.setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    };
  };
  const look = () => {
    if (document.visibilityState === "hidden") close();
    else if (!socket && timer === undefined) open();
  };
  // A page that holds a WebSocket isn't kept for the way back, or comes back with a dead one.
  const back = (event: PageTransitionEvent) => {
    if (event.persisted) look();
  };

  document.addEventListener("visibilitychange", look);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", back);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    window.removeEventListener("pagehide", close);
    window.removeEventListener("pageshow", back);
    close();
  };
}

/** Returns the address of a WebSocket of the gateway: not all browsers take a path for it. */
export function socketAddress(path: string): string {
  return `${location.origin.replace(/^http/, "ws")}${path}`;
}

/** Reads a message. Returns `undefined` for what is none of the gateway's. */
function parse(message: unknown): Pick<LiveEvent, "event" | "data"> | undefined {
  if (typeof message !== "string") return undefined;
  let read: unknown;
  try {
    read = JSON.parse(message);
  } catch {
    return undefined;
  }
  const { event, data } = object(read) ?? {};
  return typeof event === "string" ? { event, data } : undefined;
}

/** Returns an event's data where it is an object. */
export function object(data: unknown): Record<string, unknown> | undefined {
  return typeof data === "object" && data !== null && !Array.isArray(data)
    ? (data as Record<string, unknown>)
    : undefined;
}
