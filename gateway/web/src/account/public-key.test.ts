import { describe, expect, it } from "vitest";

import { commentOf, faultOfKey } from "./public-key";

const DATA = "AAAAC3NzaC1lZDI1NTE5AAAAIHu2Xk3G0Vq8yQw1m3uK2mXl9h2yq1kJ0p8V7s5d4f3g";

describe("a pasted key", () => {
  it("is taken with and without a comment", () => {
    expect(faultOfKey(`ssh-ed25519 ${DATA} ada@laptop\n`)).toBeNull();
    expect(faultOfKey(`ssh-ed25519 ${DATA}`)).toBeNull();
    expect(commentOf(`ssh-ed25519 ${DATA} ada@laptop at home`)).toBe("ada@laptop at home");
  });

  it("is refused with what to do when it is the private one", () => {
    expect(faultOfKey("-----BEGIN OPENSSH PRIVATE KEY-----\nabc")).toContain(".pub");
  });

  it.each([
    "",
    "ssh-dss AAAA",
    `ssh-ed25519 ${DATA.slice(0, 20)}`,
    `ssh-ed25519 ${DATA}\nssh-ed25519 ${DATA}`,
    "hello",
  ])("is refused when it is none: %s", (text) => {
    expect(faultOfKey(text)).not.toBeNull();
  });
});
