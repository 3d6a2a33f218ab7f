import { expect, test } from "vitest";

import { checkedBack, returnOf } from "./back";

const STATE = "0123456789abcdefABCDEF_-";
const EDITORS = [
  "https://editor--api--ada.dev.example.com/",
  "https://dev.example.com/@ada/api/apps/editor/",
];

function callback(page: string, changed: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    "vscode-reqid": "1",
    "vscode-scheme": "code-oss",
    "vscode-authority": "devgate.devgate",
    "vscode-path": "/signed-in",
    "vscode-query": `state=${STATE}`,
    ...changed,
  });
  return `${page}?${query}`;
}

test("the way back stands in the fragment, encoded", () => {
  const back = `vscode://devgate.devgate/signed-in?state=${STATE}`;
  expect(returnOf(`#code=WDJB-MJHT&return=${encodeURIComponent(back)}`)).toBe(back);
  expect(returnOf("#code=WDJB-MJHT")).toBeNull();
});

test("it leads to the extension, in editors that are known alone", () => {
  for (const scheme of ["vscode", "vscode-insiders", "vscodium", "code-oss", "cursor", "windsurf"]) {
    const back = checkedBack(`${scheme}://devgate.devgate/signed-in?windowId=2&state=${STATE}`, []);
    expect(back?.href).toBe(`${scheme}://devgate.devgate/signed-in?state=${STATE}&windowId=2`);
  }
  for (const bad of [
    `javascript:alert(1)//devgate.devgate/signed-in?state=${STATE}`,
    `file://devgate.devgate/signed-in?state=${STATE}`,
    `data:text/html,devgate.devgate/signed-in?state=${STATE}`,
    `constructor://devgate.devgate/signed-in?state=${STATE}`,
    `evil://devgate.devgate/signed-in?state=${STATE}`,
    `vscode://evil.evil/signed-in?state=${STATE}`,
    `vscode://x@devgate.devgate/signed-in?state=${STATE}`,
    `vscode://devgate.devgate/elsewhere?state=${STATE}`,
    `vscode://devgate.devgate/signed-in`,
    `vscode://devgate.devgate/signed-in?state=short`,
    `vscode://devgate.devgate/signed-in?state=${STATE}%26x`,
    `vscode://devgate.devgate/signed-in?state=${STATE}#x`,
    "nothing",
    "",
  ]) {
    expect(checkedBack(bad, EDITORS), bad).toBeNull();
  }
});

test("nothing but the state and the window goes with it", () => {
  const back = checkedBack(
    `vscode://devgate.devgate/signed-in?state=${STATE}&token=x&windowId=javascript`,
    [],
  );
  expect(back?.href).toBe(`vscode://devgate.devgate/signed-in?state=${STATE}`);
});

test("a page is taken where it is the callback of an editor that the person may open", () => {
  for (const page of [
    "https://editor--api--ada.dev.example.com/callback",
    "https://dev.example.com/@ada/api/apps/editor/callback",
    "https://editor--api--ada.dev.example.com/stable-409c64e0df4d53530e59c16acc2b5d5766f717b0/callback",
  ]) {
    const back = checkedBack(callback(page), EDITORS);
    expect(back?.href.split("?")[0]).toBe(page);
    expect(checkedBack(callback(page), [])).toBeNull();
    for (const [name, value] of [
      ["vscode-scheme", "evil"],
      ["vscode-authority", "evil.evil"],
      ["vscode-path", "/elsewhere"],
      ["vscode-query", "state="],
      ["vscode-reqid", "x"],
    ] as const) {
      expect(checkedBack(callback(page, { [name]: value }), EDITORS), name).toBeNull();
    }
  }
  for (const page of [
    "https://evil.example/callback",
    "https://editor--api--eve.dev.example.com/callback",
    "https://8080--api--ada.dev.example.com/callback",
    "http://editor--api--ada.dev.example.com/callback",
    "https://editor--api--ada.dev.example.com:444/callback",
    "https://editor--api--ada.dev.example.com/other/callback",
    "https://editor--api--ada.dev.example.com/stable-409c64e0df4d53530e59c16acc2b5d5766f717b0/x/callback",
    "https://dev.example.com/@ada/api/apps/editorcallback",
    "https://dev.example.com/callback",
    "https://dev.example.com/@ada/api/apps/8080/callback",
  ]) {
    expect(checkedBack(callback(page), EDITORS), page).toBeNull();
  }
});
