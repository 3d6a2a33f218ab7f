/** Which extension opens workspaces over SSH, in whichever editor this is. */

/** The extensions that take `ssh-remote+…`, the likeliest first. */
export const REMOTE_SSH = [
  "ms-vscode-remote.remote-ssh",
  "anysphere.remote-ssh",
  "codeium.windsurf-remote-openssh",
  "google.antigravity-remote-openssh",
  "jeanp413.open-remote-ssh",
] as const;

/** What people have to install in an editor. */
export interface Hint {
  /** The extension's id. */
  id: string;
  /** Its name in the editor's list of extensions. */
  name: string;
}

const MICROSOFT: Hint = { id: "ms-vscode-remote.remote-ssh", name: "Remote - SSH" };
const OPEN: Hint = { id: "jeanp413.open-remote-ssh", name: "Open Remote - SSH" };

/** By the scheme of the editor's own addresses. */
const HINTS: Record<string, Hint> = {
  vscode: MICROSOFT,
  "vscode-insiders": MICROSOFT,
  cursor: { id: "anysphere.remote-ssh", name: "Remote - SSH" },
  windsurf: { id: "codeium.windsurf-remote-openssh", name: "Windsurf Remote - SSH" },
  // Microsoft's licence allows its extension in its own products only.
  vscodium: OPEN,
  "code-oss": OPEN,
};

export function hint(scheme: string): Hint {
  return HINTS[scheme] ?? OPEN;
}

/** Settings of a Remote-SSH extension that we read or write, by their whole names. */
export interface SshSettings {
  /** Says of hosts what system they are, so that nobody is asked. */
  platforms?: string;
  /** Names the configuration that its `ssh` reads. */
  configFile?: string;
}

/** Finds the settings that an extension knows, as each editor's has a section of its own. */
export function settingsOf(manifest: unknown): SshSettings {
  const found: SshSettings = {};
  for (const name of settingNames(manifest)) {
    if (/^remote\.\w*SSH\.remotePlatform$/.test(name)) found.platforms = name;
    if (/^remote\.\w*SSH\.configFile$/.test(name)) found.configFile = name;
  }
  return found;
}

function settingNames(manifest: unknown): string[] {
  const configuration = member(member(manifest, "contributes"), "configuration");
  const sections: unknown[] = Array.isArray(configuration) ? configuration : [configuration];
  return sections.flatMap((section) => {
    const properties = member(section, "properties");
    return typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  });
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Record<string, unknown>)[name];
}
