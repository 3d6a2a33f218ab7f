/** The code of a program that waits to be signed in, as people write it. */

/** Returns the code out of an address's fragment, `#code=…`. */
export function codeOf(hash: string): string {
  return new URLSearchParams(hash.replace(/^#/, "")).get("code") ?? "";
}

/** Returns a code as the program shows it, or null where a text can't be one. */
export function asCode(text: string): string | null {
  const letters = text.replace(/[\s-]/g, "").toUpperCase();
  return /^[B-DF-HJ-NP-TV-XZ]{8}$/.test(letters) ? `${letters.slice(0, 4)}-${letters.slice(4)}` : null;
}
