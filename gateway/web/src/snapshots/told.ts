import { exactly } from "../parts/format";

/** Says in words what happened to a workspace. */
export function told(event: { kind: string; data: Record<string, unknown> }): string {
  const say = (name: string, otherwise = ""): string => {
    const value = event.data[name];
    return typeof value === "string" && value !== "" ? value : otherwise;
  };
  const time = (name: string): string => {
    const value = new Date(say(name));
    return Number.isNaN(value.getTime()) ? say(name) : exactly(value);
  };
  const detail = say("detail") === "" ? "" : `: ${say("detail")}`;
  switch (event.kind) {
    case "workspace-created":
      return say("clone-of") === "" ? "created" : `created as a clone of ${say("clone-of")}`;
    case "workspace-state":
      return `${say("state")}${detail}`;
    case "workspace-command":
      return `asked for: ${say("command")}`;
    case "workspace-renamed":
      return `renamed from ${say("from")} to ${say("to")}`;
    case "workspace-transferred":
      return `transferred from ${say("from")} to ${say("to")}`;
    case "workspace-sleep-soon":
      return `nothing goes on: goes to sleep on ${time("at")}`;
    case "workspace-expires-soon":
      return `is deleted on ${time("at")}, unless it is extended`;
    case "workspace-extended":
      return `extended until ${time("until")}`;
    case "workspace-deleted":
      return "deleted";
    case "workspace-restored":
      return "restored";
    case "workspace-purged":
      return "removed for good";
    case "workspace-notice":
      return say("detail", "something about its repository");
    case "out-of-memory":
      return `${say("program", "a program")} was killed: the memory is used up`;
    case "snapshot-state":
      return say("image") === ""
        ? `snapshot ${say("snapshot")} ${say("state")}${detail}`
        : `snapshot ${say("snapshot")} ${say("state")} (${say("image")})${detail}`;
    case "snapshot-deleted":
      return `snapshot ${say("snapshot")} deleted`;
    case "startup-failed":
      return `the start-up failed${detail}`;
    case "port-changed":
      return "a port was shared, or no longer";
    default:
      return event.kind;
  }
}
