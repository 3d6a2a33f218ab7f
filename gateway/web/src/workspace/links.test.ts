import { describe, expect, it } from "vitest";

import { checkedFolder, jetbrains, loginName, programs, toolbox, vscode, zed } from "./links";

const to = { user: "api", host: "gate.example.com", port: 2222, folder: "/home/ada/my project" };

describe("links to people's own programs", () => {
  it("open VS Code Desktop in a folder", () => {
    expect(vscode(to)).toBe(
      "vscode://vscode-remote/ssh-remote+api@gate.example.com:2222/home/ada/my%20project?windowId=_blank",
    );
  });

  it("open JetBrains Gateway without a deployment", () => {
    expect(jetbrains(to)).toBe(
      "jetbrains-gateway://connect#type=ssh&deploy=false&host=gate.example.com&port=2222&user=api" +
        "&projectPath=%2Fhome%2Fada%2Fmy%20project",
    );
  });

  it("open the relatives of VS Code by schemes of their own", () => {
    for (const scheme of ["cursor", "windsurf", "vscodium"]) {
      expect(vscode(to, scheme)).toBe(
        `${scheme}://vscode-remote/ssh-remote+api@gate.example.com:2222/home/ada/my%20project?windowId=_blank`,
      );
    }
  });

  it("open JetBrains Toolbox", () => {
    expect(toolbox(to)).toBe(
      "jetbrains://gateway/ssh/environment?h=gate.example.com&p=2222&u=api&launchIde=true" +
        "&projectHint=%2Fhome%2Fada%2Fmy%20project",
    );
  });

  it("are one a program, all to the same place", () => {
    const all = programs(to);
    expect(all.map(({ id }) => id)).toEqual([
      "vscode",
      "cursor",
      "windsurf",
      "vscodium",
      "jetbrains",
      "toolbox",
      "zed",
    ]);
    expect(new Set(all.map(({ href }) => href.split(":")[0])).size).toBe(all.length);
    for (const { href } of all) expect(href).toContain("gate.example.com");
  });

  it("open Zed", () => {
    expect(zed(to)).toBe("zed://ssh/api@gate.example.com:2222/home/ada/my%20project");
  });

  it("put IPv6 addresses into brackets", () => {
    expect(zed({ ...to, host: "::1", folder: "/work" })).toBe("zed://ssh/api@[::1]:2222/work");
  });

  it("name the owner of somebody else's workspace", () => {
    expect(loginName({ name: "api", owner: "ada" }, "ada")).toBe("api");
    expect(loginName({ name: "api", owner: "ada" }, "grace")).toBe("api.ada");
  });

  it("take absolute folders only", () => {
    expect(checkedFolder(" /work ", "/home/ada")).toBe("/work");
    expect(checkedFolder("work", "/home/ada")).toBeNull();
  });

  it("open the home where no folder is named", () => {
    expect(checkedFolder(" ", "/home/ada")).toBe("/home/ada");
  });
});
