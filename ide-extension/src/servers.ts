/** The servers that somebody is signed in to; what each is known by, and its token. */
import type { Trust } from "./api/gateway";

/** A server. */
export interface Server {
  /** Its origin, which it is known by. */
  url: string;
  /** Who one is there. */
  user: string;
  trust: Trust;
}

/** Where they are kept, in plain: the editor's memory. */
export interface Memory {
  get: (key: string) => unknown;
  update: (key: string, value: unknown) => PromiseLike<void>;
}

/** Where tokens are kept: the system's keyring, by way of the editor. */
export interface Secrets {
  get: (key: string) => PromiseLike<string | undefined>;
  store: (key: string, value: string) => PromiseLike<void>;
  delete: (key: string) => PromiseLike<void>;
}

const KEY = "servers";

export class Servers {
  constructor(
    private readonly memory: Memory,
    private readonly secrets: Secrets,
  ) {}

  /** Returns all, in the order in which somebody signed in first. */
  all(): Server[] {
    const kept = this.memory.get(KEY);
    return Array.isArray(kept) ? kept.filter(isServer) : [];
  }

  token(server: Server): PromiseLike<string | undefined> {
    return this.secrets.get(tokenKey(server.url));
  }

  /** Keeps a server, in place of what was known of it. */
  async add(server: Server, token: string): Promise<void> {
    const all = this.all();
    const index = all.findIndex(({ url }) => url === server.url);
    if (index >= 0) all[index] = server;
    else all.push(server);
    await this.memory.update(KEY, all);
    // The token last: other windows hear of it, and look for its server then.
    await this.secrets.store(tokenKey(server.url), token);
  }

  async remove(url: string): Promise<void> {
    await this.memory.update(
      KEY,
      this.all().filter((one) => one.url !== url),
    );
    await this.secrets.delete(tokenKey(url));
  }
}

/** Tells whether a secret that changed is a token. */
export function isTokenKey(key: string): boolean {
  return key.startsWith("token:");
}

function tokenKey(url: string): string {
  return `token:${url}`;
}

/** What is kept may be from another version. */
function isServer(value: unknown): value is Server {
  if (typeof value !== "object" || value === null) return false;
  const { url, user, trust } = value as Record<string, unknown>;
  return typeof url === "string" && typeof user === "string" && isTrust(trust);
}

function isTrust(value: unknown): value is Trust {
  if (typeof value !== "object" || value === null) return false;
  const { by, pem } = value as Record<string, unknown>;
  // "nobody" is for asking who a server is, and never kept.
  return by === "system" || (by === "authority" && typeof pem === "string");
}
