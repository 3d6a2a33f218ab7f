/** The way back to the editor whose sign-in somebody approved: it goes on there. */

/** Editors by the scheme of their addresses: of nothing else is a way back taken. */
const EDITORS: Readonly<Record<string, string>> = {
  vscode: "VS Code",
  "vscode-insiders": "VS Code Insiders",
  vscodium: "VSCodium",
  "code-oss": "Code - OSS",
  cursor: "Cursor",
  windsurf: "Windsurf",
};

/** Where the extension takes it, in every editor. */
const EXTENSION = "devgate.devgate";
const PATH = "/signed-in";

/** What the extension tells its own sign-in by; nothing secret. */
const STATE = /^[A-Za-z0-9_-]{16,64}$/;

/** What VS Code's server puts before its own pages: its quality and commit. */
const VERSION = /^\/[a-z]+-[0-9a-f]{40}(?=\/)/;

/** A way back that may be taken. */
export interface Back {
  href: string;
  /** What it leads to. */
  editor: string;
}

/** Returns the way back that an address's fragment asks for, `#code=…&return=…`, unchecked. */
export function returnOf(hash: string): string | null {
  return new URLSearchParams(hash.replace(/^#/, "")).get("return");
}

/** Tells whether a way back is a page, which has to be of an editor here. */
export function isPage(wanted: string): boolean {
  return /^https?:/i.test(wanted);
}

/**
 * Returns a way back, or null for one that leads anywhere but to the extension's own sign-in.
 *
 * Anybody can make a link to this page, so what isn't known is dropped: the address is put
 * together anew. `editors` are the addresses of the editors that the person may open here.
 */
export function checkedBack(wanted: string, editors: readonly string[]): Back | null {
  const url = parse(wanted);
  if (url === null) return null;
  if (url.username !== "" || url.password !== "" || url.hash !== "") return null;
  return isPage(wanted) ? toPage(url, editors) : toProgram(url);
}

function toProgram(url: URL): Back | null {
  const scheme = url.protocol.slice(0, -1);
  const editor = Object.hasOwn(EDITORS, scheme) ? EDITORS[scheme] : undefined;
  const state = url.searchParams.get("state") ?? "";
  if (editor === undefined || url.host !== EXTENSION || url.pathname !== PATH || !STATE.test(state)) {
    return null;
  }
  // Which of the editor's windows it is; it adds that itself.
  const window = url.searchParams.get("windowId") ?? "";
  const which = /^(_blank|\d{1,9})$/.test(window) ? `&windowId=${window}` : "";
  return { href: `${scheme}://${EXTENSION}${PATH}?state=${state}${which}`, editor };
}

/** The page of VS Code in the browser that hands on what a program's own address would have. */
function toPage(url: URL, editors: readonly string[]): Back | null {
  const given = (name: string) => url.searchParams.get(`vscode-${name}`) ?? "";
  const own = editors.map(parse).find((editor) => editor?.origin === url.origin && isCallback(url, editor));
  const [id, scheme, query] = [given("reqid"), given("scheme"), given("query")];
  const state = new URLSearchParams(query).get("state") ?? "";
  const isOurs = given("authority") === EXTENSION && given("path") === PATH && STATE.test(state);
  if (!own || !isOurs || !/^\d{1,9}$/.test(id) || !Object.hasOwn(EDITORS, scheme)) return null;
  const parameters = new URLSearchParams({
    "vscode-reqid": id,
    "vscode-scheme": scheme,
    "vscode-authority": EXTENSION,
    "vscode-path": PATH,
    "vscode-query": `state=${state}`,
  });
  return { href: `${url.origin}${url.pathname}?${parameters}`, editor: "the editor" };
}

function isCallback(url: URL, editor: URL): boolean {
  const below = editor.pathname.replace(/\/$/, "");
  return (
    url.pathname.startsWith(below) && url.pathname.slice(below.length).replace(VERSION, "") === "/callback"
  );
}

function parse(text: string): URL | null {
  try {
    return new URL(text);
  } catch {
    return null;
  }
}
