import { afterEach, describe, expect, it, vi } from "vitest";

import { address, onSignedOut, Problem, request, requestAll } from "./client";

const NEW = { name: "api", start: true };

function answer(status: number, body: unknown, type = "application/json") {
  return Promise.resolve(
    new Response(body === null ? null : JSON.stringify(body), { status, headers: { "content-type": type } }),
  );
}

afterEach(() => {
  vi.unstubAllGlobals();
  onSignedOut(() => undefined);
});

describe("requests", () => {
  it("fail with the gateway's own words", async () => {
    const problem = {
      status: 409,
      title: "Conflict",
      code: "name-taken",
      detail: "There is a workspace api already.",
    };
    vi.stubGlobal("fetch", () => answer(409, problem, "application/problem+json"));
    const error = await request("POST", "/workspaces", { body: NEW }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(Problem);
    expect(error).toMatchObject({ status: 409, code: "name-taken", message: problem.detail, passing: false });
  });

  it("fail readably where something else answers", async () => {
    vi.stubGlobal("fetch", () =>
      Promise.resolve(new Response("<html>", { status: 502, statusText: "Bad Gateway" })),
    );
    await expect(request("GET", "/me")).rejects.toMatchObject({
      status: 502,
      passing: true,
      code: "http-502",
    });
  });

  it("say that the gateway can't be reached", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("Failed to fetch")));
    await expect(request("GET", "/me")).rejects.toMatchObject({ status: 0, passing: true });
  });

  it("tell when nobody is signed in, but not for a wrong password", async () => {
    const told = vi.fn();
    onSignedOut(told);
    vi.stubGlobal("fetch", () => answer(401, { code: "x", detail: "y" }));
    await expect(request("POST", "/login", { body: { user: "ada", password: "" } })).rejects.toThrow();
    expect(told).not.toHaveBeenCalled();
    await expect(request("GET", "/workspaces")).rejects.toThrow();
    expect(told).toHaveBeenCalledTimes(1);
  });

  it("may have no answer's body", async () => {
    vi.stubGlobal("fetch", () => answer(204, null));
    await expect(request("POST", "/logout")).resolves.toBeUndefined();
  });

  it("follow a list to its end", async () => {
    const fetched: string[] = [];
    vi.stubGlobal("fetch", (url: string) => {
      fetched.push(url);
      return answer(
        200,
        url.includes("cursor=two") ? { items: [3], next: null } : { items: [1, 2], next: "two" },
      );
    });
    await expect(requestAll("/users")).resolves.toEqual([1, 2, 3]);
    expect(fetched).toEqual(["/api/v1/users?limit=200", "/api/v1/users?limit=200&cursor=two"]);
  });

  it("encode what stands in a query", () => {
    expect(address("/workspaces", { query: { name: "a&b", owner: undefined, limit: 5 } })).toBe(
      "/api/v1/workspaces?name=a%26b&limit=5",
    );
  });

  it("encode what stands in a path", () => {
    expect(address("/users/{name}", { path: { name: "a/b c" } })).toBe("/api/v1/users/a%2Fb%20c");
  });
});
