/** The gateway's OpenAPI document, shaped for reading. It came over the network, so nothing of it is believed. */

type Json = Record<string, unknown>;

export interface Field {
  name: string;
  type: string;
  required: boolean;
  description: string;
  /** How deep it is nested. */
  depth: number;
}

export interface Answer {
  status: string;
  description: string;
  type: string;
  fields: Field[];
}

export interface Operation {
  id: string;
  method: string;
  path: string;
  summary: string;
  description: string;
  parameters: (Field & { place: string })[];
  body: { type: string; fields: Field[] } | null;
  answers: Answer[];
}

export interface Group {
  name: string;
  description: string;
  operations: Operation[];
}

export interface Document {
  title: string;
  version: string;
  description: string;
  groups: Group[];
}

const METHODS = ["get", "post", "put", "patch", "delete"] as const;

/** Schemas nested deeper aren't shown: their name is. */
const DEEPEST = 4;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : []);
const object = (value: unknown): Json => (isObject(value) ? value : {});

/** Follows a `$ref` inside the document. */
function resolve(root: Json, value: unknown): Json {
  let current = object(value);
  // A chain of references that leads back to itself ends here.
  for (let hop = 0; hop < 10 && typeof current.$ref === "string"; hop += 1) {
    current = current.$ref
      .replace(/^#\//, "")
      .split("/")
      .reduce<Json>((at, part) => object(at[part.replaceAll("~1", "/").replaceAll("~0", "~")]), root);
  }
  return current;
}

/** Returns a schema's type in words. */
export function typeOf(root: Json, value: unknown): string {
  const raw = object(value);
  const schema = resolve(root, raw);
  const options = [...list(schema.oneOf), ...list(schema.anyOf)];
  if (options.length > 0) return [...new Set(options.map((one) => typeOf(root, one)))].join(" | ");
  if (Array.isArray(schema.enum)) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const types = Array.isArray(schema.type) ? schema.type.map(String) : [text(schema.type)];
  return types
    .map((type) => {
      if (type === "array") return `${typeOf(root, schema.items)}[]`;
      if (type === "object" || type === "") return text(raw.$ref).split("/").at(-1) ?? "object";
      return schema.format === undefined ? type : `${type} (${text(schema.format)})`;
    })
    .map((type) => (type === "" ? "object" : type))
    .join(" | ");
}

/** Returns the fields of an object, of a list's entries, and of what they hold. */
export function fieldsOf(root: Json, value: unknown, depth = 0): Field[] {
  const schema = resolve(root, value);
  if (depth > DEEPEST) return [];
  if (schema.items !== undefined) return fieldsOf(root, schema.items, depth);
  const parts = [...list(schema.allOf), ...list(schema.oneOf), ...list(schema.anyOf)];
  const required = new Set(Array.isArray(schema.required) ? schema.required : []);
  const own = Object.entries(object(schema.properties)).flatMap(([name, property]): Field[] => [
    {
      name,
      type: typeOf(root, property),
      required: required.has(name),
      description: text(object(property).description) || text(resolve(root, property).description),
      depth,
    },
    ...fieldsOf(root, property, depth + 1),
  ]);
  return [...parts.flatMap((part) => fieldsOf(root, part, depth)), ...own];
}

function content(root: Json, value: unknown): { type: string; fields: Field[] } | null {
  const [first] = Object.entries(object(object(value).content));
  if (!first) return null;
  const [mediaType, media] = first;
  const schema = object(media).schema;
  const type = mediaType.includes("json") ? typeOf(root, schema) : mediaType;
  return { type, fields: fieldsOf(root, schema) };
}

function operation(root: Json, path: string, method: string, shared: Json[], value: Json): Operation {
  const parameters = [...shared, ...list(value.parameters)].map((one) => {
    const parameter = resolve(root, one);
    return {
      name: text(parameter.name),
      place: text(parameter.in),
      type: typeOf(root, parameter.schema),
      required: parameter.required === true,
      description: text(parameter.description),
      depth: 0,
    };
  });
  const answers = Object.entries(object(value.responses)).map(([status, one]) => {
    const answer = resolve(root, one);
    return {
      status,
      description: text(answer.description),
      type: "",
      fields: [],
      ...content(root, answer),
    };
  });
  return {
    id: text(value.operationId) || `${method}-${path}`,
    method: method.toUpperCase(),
    path,
    summary: text(value.summary),
    description: text(value.description),
    parameters,
    body: content(root, resolve(root, value.requestBody)),
    answers,
  };
}

/** Reads a document. Throws where the value is none. */
export function read(value: unknown): Document {
  if (!isObject(value) || !isObject(value.paths))
    throw new Error("The gateway's answer is no OpenAPI document.");
  const groups = new Map<string, Group>();
  for (const tag of list(value.tags)) {
    const name = text(tag.name);
    groups.set(name, { name, description: text(tag.description), operations: [] });
  }
  for (const [path, item] of Object.entries(value.paths)) {
    for (const method of METHODS) {
      const one = object(item)[method];
      if (!isObject(one)) continue;
      const tag = Array.isArray(one.tags) && typeof one.tags[0] === "string" ? one.tags[0] : "Other";
      const group = groups.get(tag) ?? { name: tag, description: "", operations: [] };
      groups.set(tag, group);
      group.operations.push(operation(value, path, method, list(object(item).parameters), one));
    }
  }
  const info = object(value.info);
  return {
    title: text(info.title),
    version: text(info.version),
    description: text(info.description),
    groups: [...groups.values()].filter((group) => group.operations.length > 0),
  };
}

/** Returns a command line that does what an operation does. */
export function curl(operation: Operation, origin: string): string {
  const words = ["curl"];
  if (operation.method !== "GET") words.push("-X", operation.method);
  words.push('-H "Authorization: Bearer $DEVGATE_TOKEN"');
  if (operation.body) {
    const example = Object.fromEntries(
      operation.body.fields
        .filter((field) => field.depth === 0 && field.required)
        .map((field) => [field.name, "…"]),
    );
    words.push(`--json '${JSON.stringify(example)}'`);
  }
  words.push(`"${origin}${operation.path}"`);
  return words.join(" ");
}
