import { describe, expect, it } from "vitest";

import { curl, fieldsOf, read, typeOf } from "./openapi";

const root = {
  openapi: "3.1.0",
  info: { title: "devgate", version: "1", description: "All of it." },
  tags: [{ name: "users", description: "People." }],
  paths: {
    "/users": {
      parameters: [{ name: "limit", in: "query", schema: { type: "integer", format: "int32" } }],
      get: {
        tags: ["users"],
        operationId: "list",
        summary: "Lists",
        responses: { "200": { description: "All" } },
      },
      post: {
        tags: ["users"],
        operationId: "add",
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/New" } } } },
        responses: {
          "409": {
            description: "Taken",
            content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
          },
        },
      },
    },
  },
  components: {
    schemas: {
      New: {
        type: "object",
        required: ["name"],
        properties: {
          name: { type: "string", description: "Who" },
          role: { $ref: "#/components/schemas/Role" },
          friends: { type: "array", items: { $ref: "#/components/schemas/New" } },
        },
      },
      Role: { type: "string", enum: ["admin", "member"] },
      Problem: { type: "object", properties: { code: { type: ["string", "null"] } } },
      Loop: { $ref: "#/components/schemas/Loop" },
    },
  },
};

describe("an OpenAPI document", () => {
  it("is read into groups of operations", () => {
    const [group] = read(root).groups;
    expect(group?.name).toBe("users");
    expect(group?.operations.map((one) => `${one.method} ${one.path}`)).toEqual([
      "GET /users",
      "POST /users",
    ]);
    expect(group?.operations[0]?.parameters[0]).toMatchObject({
      name: "limit",
      place: "query",
      type: "integer (int32)",
    });
    expect(group?.operations[1]?.answers[0]).toMatchObject({ status: "409", type: "Problem" });
  });

  it("has types in words", () => {
    const schemas = root.components.schemas;
    expect(typeOf(root, schemas.New.properties.role)).toBe('"admin" | "member"');
    expect(typeOf(root, schemas.New.properties.friends)).toBe("New[]");
    expect(typeOf(root, schemas.Problem.properties.code)).toBe("string | null");
  });

  it("may refer to itself", () => {
    expect(fieldsOf(root, root.components.schemas.New).length).toBeGreaterThan(3);
    expect(typeOf(root, root.components.schemas.Loop)).toBe("Loop");
  });

  it("that isn't one is refused", () => {
    expect(() => read({ detail: "no" })).toThrow("OpenAPI");
  });

  it("gives a command line for each operation", () => {
    const operations = read(root).groups[0]?.operations ?? [];
    const add = operations[1];
    expect(add && curl(add, "https://x")).toBe(
      `curl -X POST -H "Authorization: Bearer $DEVGATE_TOKEN" --json '{"name":"…"}' "https://x/users"`,
    );
  });
});
