/** SSH public keys as people paste them. */

const TYPES =
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)$/;

/** Returns why a text is no public key, with what to do, or `null`. The gateway has the last word. */
export function faultOfKey(text: string): string | null {
  const key = text.trim();
  if (key === "") return "Paste a public key.";
  if (key.includes("PRIVATE KEY")) {
    return "This is the private key: it stays on your computer. Paste the file that ends in .pub.";
  }
  if (key.split("\n").length > 1) return "Paste one key: a single line.";
  const [type = "", data = ""] = key.split(/\s+/);
  if (!TYPES.test(type)) return "A public key begins with ssh-ed25519, ssh-rsa or ecdsa-sha2-…";
  if (!/^[A-Za-z0-9+/]{40,}={0,2}$/.test(data)) return "The key isn't complete: copy the whole line.";
  return null;
}

/** Returns the comment of a key, which mostly says whose it is. */
export function commentOf(text: string): string {
  return text.trim().split(/\s+/).slice(2).join(" ");
}
