/** Says in words what happened to a workspace. */
export function told(event: { kind: string; data: Record<string, unknown> }): string {
  const say = (name: string): string => {
    const value = event.data[name];
    return typeof value === "string" ? value : "";
  };
  const detail = say("detail") === "" ? "" : `: ${say("detail")}`;
  switch (event.kind) {
    case "workspace-created":
      return say("clone-of") === "" ? "created" : `created as a clone of ${say("clone-of")}`;
    case "workspace-state":
      return `${say("state")}${detail}`;
    case "workspace-command":
      return `asked for: ${say("command")}`;
    case "workspace-deleted":
      return "deleted";
    case "snapshot-state":
      return say("image") === ""
        ? `snapshot ${say("snapshot")} ${say("state")}${detail}`
        : `snapshot ${say("snapshot")} ${say("state")} (${say("image")})${detail}`;
    case "snapshot-deleted":
      return `snapshot ${say("snapshot")} deleted`;
    case "port-changed":
      return "a port was shared, or no longer";
    default:
      return event.kind;
  }
}
