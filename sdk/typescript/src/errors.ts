// What goes wrong, as errors that programs can tell apart.
//
// Every answer that refuses is a problem (RFC 9457) with a stable `code`; the class follows from
// the status, so that a program need not know all codes.

/** A problem as the server sends it. */
export interface Problem {
  status: number;
  title: string;
  code: string;
  detail: string;
  /** Further members, as some codes have: `offset` of `wrong-offset`. */
  [member: string]: unknown;
}

/** What a request was, for an error to say. */
export interface Asked {
  method: string;
  path: string;
  /** How often it was sent. */
  attempts: number;
}

/** Anything that this library throws by itself, but for what an `AbortSignal` causes. */
export class DevgateError extends Error {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** A stable word for programs. */
  readonly code: string;
  /** A sentence for people that says what to do next. */
  readonly detail: string;
  /** All that the server said. */
  readonly problem: Problem | undefined;
  /** The request, where there was one. */
  readonly asked: Asked | undefined;
  /** How long the server asks to wait before another attempt, in milliseconds. */
  readonly retryAfter: number | undefined;

  constructor(
    problem: Problem,
    asked?: Asked,
    options?: ErrorOptions & { retryAfter?: number | undefined },
  ) {
    const request = asked ? `${asked.method} ${asked.path}: ` : "";
    super(`${request}${problem.detail} (${problem.code})`, options);
    this.name = new.target.name;
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.problem = problem.status === 0 ? undefined : problem;
    this.asked = asked;
    this.retryAfter = options?.retryAfter;
  }
}

/** The request is wrong as it is: 400, 413, 415, 422 and the like. */
export class BadRequest extends DevgateError {}
/** Nobody is signed in: the token is missing, wrong, over or revoked. 401. */
export class SignedOut extends DevgateError {}
/** The token or its user may not do this. 403. */
export class Denied extends DevgateError {}
/** It isn't there, or the caller may not see it. 404. */
export class NotFound extends DevgateError {}
/** It doesn't go with how things are now: a name that is taken, a workspace that doesn't run. 409. */
export class Conflict extends DevgateError {}
/** There would be more than there may be: workspaces, processors, memory, disk. 409, 507. */
export class LimitReached extends Conflict {}
/** The file isn't the one that the request was about. 412. */
export class PreconditionFailed extends DevgateError {}
/** Too many requests; `retryAfter` says for how long to wait, where the server does. 429. */
export class TooManyRequests extends DevgateError {}
/** The server, or the workspace, can't answer just now. 502, 503, 504. */
export class Unavailable extends DevgateError {}
/** There was no answer, or it broke off. */
export class ConnectionFailed extends DevgateError {}
/** It took longer than it was given. */
export class TimedOut extends DevgateError {}
/** What was waited for will not come: a workspace or a snapshot has failed. */
export class Failed extends DevgateError {}

type Class = new (...of: ConstructorParameters<typeof DevgateError>) => DevgateError;

const BY_STATUS: Readonly<Record<number, Class>> = {
  401: SignedOut,
  403: Denied,
  404: NotFound,
  408: TimedOut,
  409: Conflict,
  410: NotFound,
  412: PreconditionFailed,
  429: TooManyRequests,
  502: Unavailable,
  503: Unavailable,
  504: Unavailable,
  507: LimitReached,
};

/** Returns the error that a problem is. */
export function errorOf(problem: Problem, asked?: Asked, retryAfter?: number): DevgateError {
  const limit = problem.status === 409 && problem.code.endsWith("-limit");
  const other = problem.status >= 400 && problem.status < 500 ? BadRequest : DevgateError;
  const wanted = limit ? LimitReached : (BY_STATUS[problem.status] ?? other);
  return new wanted(problem, asked, { retryAfter });
}

/** Reads a problem; one that isn't whole, as of a proxy on the way, is completed. */
export function problemOf(status: number, value: unknown): Problem {
  const members = typeof value === "object" && value !== null ? value : {};
  const text = (name: string): string | undefined => {
    const member: unknown = (members as Record<string, unknown>)[name];
    return typeof member === "string" ? member : undefined;
  };
  return {
    ...members,
    status,
    title: text("title") ?? "",
    code: text("code") ?? `http-${status}`,
    detail: text("detail") ?? `the server answered ${status} and didn't say why`,
  };
}

/** Makes an error for which there is no answer. */
export function without(
  kind: typeof ConnectionFailed | typeof TimedOut | typeof Failed,
  code: string,
  detail: string,
  asked?: Asked,
  cause?: unknown,
): DevgateError {
  const problem = { status: 0, title: "", code, detail };
  return new kind(problem, asked, cause === undefined ? undefined : { cause });
}
