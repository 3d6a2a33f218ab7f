/** Returns the control character of a key, as a held Ctrl makes it: `c` is `^C`. */
export function withControl(text: string): string {
  if (text.length !== 1) return text;
  const code = text.toUpperCase().charCodeAt(0);
  // `@`, `A` to `Z`, `[`, `\`, `]`, `^`, `_`.
  if (code >= 0x40 && code <= 0x5f) return String.fromCharCode(code - 0x40);
  if (text === " ") return "\u0000";
  if (text === "?") return "\u007f";
  return text;
}

/** Returns an arrow key as a program gets it that has asked for application cursor keys (DECCKM). */
export function asApplicationKey(text: string): string {
  // eslint-disable-next-line no-control-regex -- arrows begin with Escape
  return text.replace(/^\u001b\[([A-D])$/, "\u001bO$1");
}
