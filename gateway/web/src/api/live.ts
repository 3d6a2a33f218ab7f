/** Server-sent events that last: they come back after a break, and rest while the tab is hidden. */

/** First and longest pause before a lost stream is asked for again, in milliseconds. */
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 15_000;

export interface LiveOptions {
  /** Address of the stream. */
  url: string;
  /** Names of the events that are wanted. */
  events: readonly string[];
  /** Called for each of them with its data. */
  receive: (event: string, data: string) => void;
  /** Called when the stream is there (again): what was fetched before it may be old. */
  opened?: () => void;
  /** Called when it breaks; it is asked for again. */
  broken?: () => void;
}

/**
 * Follows a stream until the returned function is called.
 *
 * Browsers keep six connections to a host over HTTP/1.1 for all tabs together, and a
 * stream holds one: a hidden tab gives its own back.
 */
export function follow(options: LiveOptions): () => void {
  let source: EventSource | undefined;
  let timer: number | undefined;
  let pause = FIRST_PAUSE;

  const close = () => {
    window.clearTimeout(timer);
    timer = undefined;
    source?.close();
    source = undefined;
  };
  const open = () => {
    close();
    const current = new EventSource(options.url);
    source = current;
    current.onopen = () => {
      pause = FIRST_PAUSE;
      options.opened?.();
    };
    for (const event of options.events) {
      current.addEventListener(event, (message: MessageEvent<unknown>) => {
        if (typeof message.data === "string") options.receive(event, message.data);
      });
    }
    current.onerror = () => {
      options.broken?.();
      // Left alone the browser gives up for good after an answer such as 502.
      close();
      timer = window.setTimeout(open, pause * (0.75 + Math.random() / 2));
      pause = Math.min(pause * 2, LONGEST_PAUSE);
    };
  };
  const look = () => {
    if (document.visibilityState === "hidden") close();
    else if (!source && timer === undefined) open();
  };
  // From the back-forward cache a page comes back with its streams dead.
  const back = (event: PageTransitionEvent) => {
    if (event.persisted) open();
  };

  document.addEventListener("visibilitychange", look);
  window.addEventListener("pageshow", back);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    window.removeEventListener("pageshow", back);
    close();
  };
}

/** Parses an event's data. Returns `undefined` for what is no JSON object. */
export function object(data: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
