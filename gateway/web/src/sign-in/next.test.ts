import { describe, expect, it } from "vitest";

import { hereAsNext, isPage, linkToken, safeNext } from "./next";

const ORIGIN = "https://gate.example.com:8443";

describe("after the sign-in", () => {
  it.each([
    ["/workspaces/ada/api", "/workspaces/ada/api"],
    ["/a?b=c#d", "/a?b=c#d"],
    [
      "/api/v1/applications/authorize?to=https%3A%2F%2F3000--api--ada.x%2F",
      "/api/v1/applications/authorize?to=https%3A%2F%2F3000--api--ada.x%2F",
    ],
  ])("one goes to a path of this origin: %s", (next, path) => {
    expect(safeNext(next, ORIGIN)).toBe(path);
  });

  it.each([
    null,
    "",
    "https://evil.example",
    "//evil.example",
    "/\\evil.example",
    "/.//evil.example",
    "/a/..//evil.example",
    "/.\\/evil.example",
    "/%2e//evil.example",
    "/\t/evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/sign-in?next=/sign-in",
    "workspaces",
  ])("one never goes anywhere else: %s", (next) => {
    expect(safeNext(next, ORIGIN)).toBe("/");
  });

  it("pages are the dashboard's, API addresses and applications the gateway's", () => {
    expect(isPage("/workspaces")).toBe(true);
    expect(isPage("/api/v1/docs")).toBe(true);
    expect(isPage("/api/v1/applications/authorize?to=x")).toBe(false);
    expect(isPage("/@ada/api/apps/3000/")).toBe(false);
  });
});

describe("where one is", () => {
  it("comes back after the sign-in, query and fragment too", () => {
    const next = new URL(hereAsNext({ pathname: "/a", search: "?b=c", hash: "#d" }), ORIGIN).searchParams.get(
      "next",
    );
    expect(safeNext(next, ORIGIN)).toBe("/a?b=c#d");
  });

  it("isn't mentioned where the sign-in leads anyway", () => {
    expect(hereAsNext({ pathname: "/workspaces", search: "", hash: "" })).toBe("/sign-in");
  });
});

describe("a sign-in link", () => {
  it("has its token in the fragment, which is sent to nobody", () => {
    expect(linkToken("#link=dgl_abc-_123")).toBe("dgl_abc-_123");
    expect(linkToken("")).toBeNull();
    expect(linkToken("#link=")).toBeNull();
    expect(linkToken("#other=1")).toBeNull();
  });
});
