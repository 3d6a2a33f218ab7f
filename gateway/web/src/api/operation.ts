/** What the gateway's OpenAPI document says of each operation, for the compiler. */
import type { paths } from "./schema";

/** Where all paths begin. */
export const ROOT = "/api/v1";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Paths below the root that have an operation with this method. */
export type Path<M extends Method> = {
  [P in keyof paths]: paths[P][Lowercase<M>] extends undefined
    ? never
    : P extends `${typeof ROOT}${infer Rest}`
      ? Rest
      : never;
}[keyof paths];

type Operation<M extends Method, P extends Path<M>> = paths[`${typeof ROOT}${P}` & keyof paths][Lowercase<M>];

/** What an operation answers where it did what it was asked for. */
export type Answer<M extends Method, P extends Path<M>> =
  Operation<M, P> extends { responses: infer All } ? Json<All[keyof All & (200 | 201 | 202 | 204)]> : never;

type Json<Response> = Response extends { content: { "application/json": infer Body } } ? Body : undefined;

/** What an operation takes, and what may end the wait for its answer. */
export type Options<M extends Method, P extends Path<M>> = Taken<Operation<M, P>> & { signal?: AbortSignal };

type Taken<O> = (O extends { parameters: infer All } ? Present<All> : unknown) &
  (O extends { requestBody: { content: { "application/json": infer Body } } } ? { body: Body } : unknown);

/** Without the kinds of parameters that an operation doesn't have. */
type Present<All> = {
  [Kind in keyof All as [NonNullable<All[Kind]>] extends [never] ? never : Kind]: All[Kind];
};

/** The options as an argument, which may be left out where nothing is required. */
export type Given<M extends Method, P extends Path<M>> =
  { signal?: AbortSignal } extends Options<M, P> ? [options?: Options<M, P>] : [options: Options<M, P>];
