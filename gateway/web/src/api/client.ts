/** Requests to the gateway's API, and how they fail. */

/** What the gateway answers where it refuses (RFC 9457), or what stood in the way of asking it. */
export class Problem extends Error {
  override name = "Problem";

  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
  ) {
    super(detail);
  }

  /** Whether the gateway or the way to it is down, so that asking again may help. */
  get passing(): boolean {
    return this.status === 0 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

type Query = Record<string, string | number | boolean | undefined>;

interface Options {
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** Called when a request finds that nobody is signed in any more. */
let signedOut: () => void = () => undefined;

export function onSignedOut(then: () => void): void {
  signedOut = then;
}

/** Returns the address of an API path, parameters encoded. */
export function address(path: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `/api/v1${path}${text === "" ? "" : `?${text}`}`;
}

async function send(method: string, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { accept: "application/json", ...options.headers };
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    headers["content-type"] = "application/json";
    init.body = JSON.stringify(options.body);
  }
  let response: Response;
  try {
    response = await fetch(address(path, options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem(0, "unreachable", "The gateway can't be reached. Check your network, then try again.");
  }
  if (!response.ok) {
    const problem = await readProblem(response);
    if (problem.status === 401 && !path.startsWith("/login")) signedOut();
    throw problem;
  }
  return response;
}

async function readProblem(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const field = (name: string): string | undefined => {
    if (typeof body !== "object" || body === null) return undefined;
    const value: unknown = (body as Record<string, unknown>)[name];
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  return new Problem(
    response.status,
    field("code") ?? `http-${response.status}`,
    field("detail") ?? field("title") ?? `The gateway answered ${response.status} ${response.statusText}.`,
  );
}

/** Asks for JSON. An answer without a body is `undefined`. */
export async function request<T>(method: string, path: string, options: Options = {}): Promise<T> {
  const response = await send(method, path, options);
  const text = await response.text();
  // The types are the gateway's own, generated from its OpenAPI document.
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Asks for text. */
export async function requestText(path: string, options: Options = {}): Promise<string> {
  const response = await send("GET", path, { ...options, headers: { accept: "text/plain" } });
  return response.text();
}

interface PageOf<T> {
  items: T[];
  next?: string | null;
}

/** Most entries of a list that are shown. */
const MOST = 2000;

/** Returns a whole list, page by page. */
export async function requestAll<T>(path: string, options: Options = {}): Promise<T[]> {
  const all: T[] = [];
  let cursor: string | undefined;
  do {
    const page: PageOf<T> = await request("GET", path, {
      ...options,
      query: { ...options.query, limit: 200, cursor },
    });
    all.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && all.length < MOST);
  return all;
}

/** Returns what to tell a person of an error. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
