import type { Port } from "../api/types";

/** Whether a value that came as an event is a list of ports. */
export function isPorts(value: unknown): value is Port[] {
  return Array.isArray(value) && value.every(isPort);
}

function isPort(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { port, visibility, url, listening } = value as Record<string, unknown>;
  return (
    typeof port === "number" &&
    typeof visibility === "string" &&
    typeof url === "string" &&
    typeof listening === "boolean"
  );
}
