/** Requests to the gateway's API, and how they fail. */
import { type Answer, type Given, type Method, type Options, type Path, ROOT } from "./operation";

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

/** What a request carries, whatever its operation. */
interface Carried {
  path?: Record<string, string>;
  query?: Record<string, string | number | boolean | undefined>;
  header?: Record<string, string | undefined>;
  body?: unknown;
  signal?: AbortSignal;
}

/** Called when a request finds that nobody is signed in any more. */
let signedOut: () => void = () => undefined;

export function onSignedOut(then: () => void): void {
  signedOut = then;
}

/** Returns where an operation is asked for, its parameters filled in and encoded. */
export function address<P extends Path<"GET">>(path: P, ...[options]: Given<"GET", P>): string {
  return fill(path, options ?? {});
}

function fill(path: string, { path: parts = {}, query = {} }: Carried): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(parts[name] ?? ""));
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `${ROOT}${filled}${text === "" ? "" : `?${text}`}`;
}

async function send(method: Method, path: string, carried: Carried, accept: string): Promise<Response> {
  const headers = new Headers({ accept });
  for (const [name, value] of Object.entries(carried.header ?? {})) {
    if (value !== undefined) headers.set(name, value);
  }
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (carried.signal) init.signal = carried.signal;
  if (carried.body !== undefined) {
    headers.set("content-type", "application/json");
    init.body = JSON.stringify(carried.body);
  }
  let response: Response;
  try {
    response = await fetch(fill(path, carried), init);
  } catch (error) {
    if (carried.signal?.aborted) throw error;
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
export async function request<M extends Method, P extends Path<M>>(
  method: M,
  path: P,
  ...[options]: Given<M, P>
): Promise<Answer<M, P>> {
  const response = await send(method, path, options ?? {}, "application/json");
  const text = await response.text();
  // The types are the gateway's own: the document is tested against its answers.
  return (text === "" ? undefined : JSON.parse(text)) as Answer<M, P>;
}

/** Asks for text. */
export async function requestText<P extends Path<"GET">>(
  path: P,
  ...[options]: Given<"GET", P>
): Promise<string> {
  const response = await send("GET", path, options ?? {}, "text/plain");
  return response.text();
}

/** Paths of lists that come in pages. */
type ListPath = {
  [P in Path<"GET">]: "cursor" extends keyof NonNullable<Query<P>> ? P : never;
}[Path<"GET">];

type Query<P extends Path<"GET">> = Options<"GET", P> extends { query?: infer All } ? All : never;

type Item<P extends ListPath> = Answer<"GET", P> extends { items: (infer One)[] } ? One : never;

/** Most entries of a list that are shown. */
const MOST = 2000;

/** Returns a whole list, page by page; `which` says of what, where the list knows several. */
export async function requestAll<P extends ListPath>(
  path: P,
  signal?: AbortSignal,
  which?: Query<P> & object,
): Promise<Item<P>[]> {
  const all: Item<P>[] = [];
  let cursor: string | undefined;
  do {
    const query = { ...which, limit: 200, cursor };
    const response = await send("GET", path, { query, signal }, "application/json");
    const page = (await response.json()) as { items: Item<P>[]; next: string | null };
    all.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && all.length < MOST);
  return all;
}

/** Returns what to tell a person of an error. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
