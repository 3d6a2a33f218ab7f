import { describe, expect, it } from "vitest";

import { checkedFolder, jetbrains, loginName, vscode, zed } from "./links";

const to = { user: "api", host: "gate.example.com", port: 2222, folder: "/home/ada/my project" };

describe("links to people's own programs", () => {
  it("open VS Code Desktop in a folder", () => {
    expect(vscode(to)).toBe(
      "vscode://vscode-remote/ssh-remote+api@gate.example.com:2222/home/ada/my%20project?windowId=_blank",
    );
    expect(vscode(to, "cursor")).toMatch(/^cursor:\/\/vscode-remote\//);
  });

  it("open JetBrains Gateway without a deployment", () => {
    const link = new URL(jetbrains(to));
    expect(link.protocol).toBe("jetbrains-gateway:");
    const parameters = new URLSearchParams(link.hash.slice(1));
    expect(Object.fromEntries(parameters)).toEqual({
      type: "ssh",
      deploy: "false",
      host: "gate.example.com",
      port: "2222",
      user: "api",
      projectPath: "/home/ada/my project",
    });
    expect(jetbrains({ ...to, folder: "" })).not.toContain("projectPath");
  });

  it("open Zed", () => {
    expect(zed(to)).toBe("zed://ssh/api@gate.example.com:2222/home/ada/my%20project");
  });

  it("put IPv6 addresses into brackets", () => {
    expect(zed({ ...to, host: "::1", folder: "" })).toBe("zed://ssh/api@[::1]:2222/");
  });

  it("name the owner of somebody else's workspace", () => {
    expect(loginName({ name: "api", owner: "ada" }, "ada")).toBe("api");
    expect(loginName({ name: "api", owner: "ada" }, "grace")).toBe("api.ada");
  });

  it("take absolute folders only", () => {
    expect(checkedFolder(" /work ")).toBe("/work");
    expect(checkedFolder("")).toBe("");
    expect(checkedFolder("work")).toBeNull();
  });
});
