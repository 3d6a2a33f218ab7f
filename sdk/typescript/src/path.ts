// Paths in a workspace, which are bytes there and as a rule text.

/**
 * Where something is: a text, its bytes, or whatever tells of it, as an `Entry` does; its
 * `raw_path` goes before its `path`.
 */
export type FilePath =
  string | Uint8Array | { readonly path: string; readonly raw_path?: string | null };

/** Returns a path as it is asked for. */
export function asked(path: FilePath): string | Uint8Array {
  if (typeof path === "string" || path instanceof Uint8Array) {
    return path;
  }
  return typeof path.raw_path === "string" ? decoded(path.raw_path) : path.path;
}

/** Returns a path as near to it as text comes. */
export function shown(path: FilePath): string {
  if (path instanceof Uint8Array) {
    return Buffer.from(path).toString("utf8");
  }
  return typeof path === "string" ? path : path.path;
}

/** Returns a path as a body has it, called `name` there. */
export function named(path: FilePath, name = "path"): Record<string, string> {
  const wanted = asked(path);
  return typeof wanted === "string"
    ? { [name]: wanted }
    : { [name]: shown(wanted), [`raw_${name}`]: encoded(wanted) };
}

/** Percent-encodes bytes for a query. */
export function encoded(bytes: Uint8Array): string {
  const one = (byte: number): string => {
    const character = String.fromCharCode(byte);
    const plain = /[\w.~/-]/.test(character);
    return plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  };
  return Array.from(bytes, one).join("");
}

/** Returns the bytes of what is percent-encoded, which is ASCII. */
function decoded(text: string): Uint8Array {
  const byte = (_: string, digits: string): string => String.fromCharCode(parseInt(digits, 16));
  return Buffer.from(text.replace(/%([0-9A-F]{2})/gi, byte), "latin1");
}
