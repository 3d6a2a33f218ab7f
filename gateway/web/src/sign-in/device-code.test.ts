import { expect, test } from "vitest";

import { asCode, codeOf } from "./device-code";

test("a code is read as people write it", () => {
  expect(asCode("wdjb mjht")).toBe("WDJB-MJHT");
  expect(asCode("WDJB-MJHT")).toBe("WDJB-MJHT");
  for (const bad of ["", "WDJB", "WDJB-MJHTX", "ADJB-MJHT", "WDJB-MJH1"]) expect(asCode(bad)).toBeNull();
});

test("the code of an address stands in its fragment", () => {
  expect(codeOf("#code=WDJB-MJHT")).toBe("WDJB-MJHT");
  expect(codeOf("")).toBe("");
});
