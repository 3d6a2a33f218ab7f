/** How far a workspace's start-up is, in words. */
import type { Startup, StartupStep } from "../api/types";

/** Whether a value that came as an event is the status of a start-up. */
export function isStartup(value: unknown): value is Startup {
  if (typeof value !== "object" || value === null) return false;
  const { state, steps, ready, detail } = value as Record<string, unknown>;
  return (
    typeof state === "string" &&
    typeof ready === "boolean" &&
    typeof detail === "string" &&
    Array.isArray(steps) &&
    steps.every(isStep)
  );
}

function isStep(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { name, state } = value as Record<string, unknown>;
  return typeof name === "string" && typeof state === "string";
}

/** Says where a step is. */
export function stepWords(step: StartupStep): string {
  const time = step.seconds === null ? "" : `${step.seconds} s`;
  switch (step.state) {
    case "pending":
      return "to come";
    case "running":
      return "running…";
    case "done":
      return time;
    case "skipped":
      return "not run";
    case "failed":
      return step.exit === null ? "failed" : `failed, exit status ${step.exit}`;
  }
}

/** Says where a start-up is as a whole. */
export function words(startup: Startup): string {
  if (startup.failure) return "Failed";
  switch (startup.state) {
    case "none":
      return "";
    case "running":
      return startup.ready ? "Running" : "Running, not ready yet";
    case "done":
      return "Done";
    case "failed":
      return "Failed";
  }
}
