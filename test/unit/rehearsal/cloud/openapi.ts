/** A schema of OpenAPI 3.0, as far as the cloud's description uses it. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly nullable?: boolean;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly allOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: { readonly "application/json"?: { readonly schema: Schema } } }>>;
}

export interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** Went from the API in July 2026; the description may be older. */
const GONE = ["datacenter"];

/** What a value is against a schema, each with its place. Keys that the schema does not know are faults too. */
export function faultsOf(description: Description, schema: Schema, value: unknown, place: string): string[] {
  if (schema.$ref) return faultsOf(description, description.components.schemas[schema.$ref.split("/").at(-1)!]!, value, place);
  if (value === null) return isNullable(description, schema) ? [] : [`${place}: null is not allowed`];
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.some((one) => faultsOf(description, one, value, place).length === 0) ? [] : [`${place}: fits none of ${choices.length} choices: ${JSON.stringify(value)}`];
  if (schema.enum && !schema.enum.includes(value)) return [`${place}: ${JSON.stringify(value)} is not one of ${schema.enum.join(", ")}`];
  const inherited = (schema.allOf ?? []).flatMap((one) => faultsOf(description, one, value, place));
  const kind = Array.isArray(value) ? "array" : Number.isInteger(value) && schema.type === "integer" ? "integer" : typeof value;
  if (schema.type && kind !== schema.type) return [...inherited, `${place}: is ${kind}, wants ${schema.type}`];
  if (Array.isArray(value)) return [...inherited, ...value.flatMap((one, index) => (schema.items ? faultsOf(description, schema.items, one, `${place}[${index}]`) : []))];
  if (typeof value !== "object" || !schema.properties) return inherited;
  const [object, properties] = [value as Record<string, unknown>, schema.properties];
  return [
    ...inherited,
    ...(schema.required ?? []).filter((key) => !(key in object) && !GONE.includes(key)).map((key) => `${place}.${key}: is missing`),
    ...Object.entries(object).flatMap(([key, one]) => (properties[key] ? faultsOf(description, properties[key], one, `${place}.${key}`) : schema.additionalProperties || schema.allOf ? [] : [`${place}.${key}: is not described`])),
  ];
}

const isNullable = (description: Description, schema: Schema): boolean =>
  schema.nullable === true || [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].some((one) => isNullable(description, one.$ref ? description.components.schemas[one.$ref.split("/").at(-1)!]! : one));

/** The schema of an answer, and how the description calls its path. Undefined when it has none. */
export function schemaOf(description: Description, method: string, path: string, status: number): { readonly name: string; readonly schema: Schema } | undefined {
  const parts = path.split("?")[0]!.split("/");
  const fits = (template: string): boolean => {
    const wanted = template.split("/");
    return wanted.length === parts.length && wanted.every((one, index) => one === parts[index] || (one.startsWith("{") && /^\d+$/.test(parts[index]!)));
  };
  const name = Object.keys(description.paths).find(fits);
  const responses = name === undefined ? undefined : description.paths[name]![method.toLowerCase()]?.responses;
  const schema = (responses?.[String(status)] ?? (status >= 400 ? responses?.[`${Math.floor(status / 100)}xx`] : undefined))?.content?.["application/json"]?.schema;
  return name === undefined || schema === undefined ? undefined : { name: `${method} ${name}`, schema };
}
