import { STATUS_CODES } from 'node:http';

type JsonObject = Record<string, unknown>;

/** A route, as far as the document tells of it. */
export interface DescribedRoute {
  readonly method: string;
  /** With `:name` for what varies. */
  readonly url: string;
  readonly schema: {
    readonly summary?: string;
    readonly params?: unknown;
    readonly querystring?: unknown;
    readonly body?: unknown;
    readonly response?: unknown;
  };
  /** Whether an API key is asked for, where keys are configured. */
  readonly needsKey: boolean;
}

interface ObjectSchema {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

/** Of one media type, or of several. */
interface BodySchema extends ObjectSchema {
  readonly content?: Readonly<Record<string, { readonly schema: unknown }>>;
}

/**
 * The OpenAPI 3.1 document of routes whose schemas are JSON Schema as they stand.
 * @param named schemas that are written once and referred to by these names.
 */
export function buildDocument(
  routes: readonly DescribedRoute[],
  { version, named }: { readonly version: string; readonly named: Readonly<Record<string, object>> },
): JsonObject {
  const names = new Map(Object.entries(named).map(([name, schema]) => [schema, name]));
  const refer = (schema: unknown, top = false): unknown => {
    if (typeof schema !== 'object' || schema === null) return schema;
    const name = names.get(schema);
    if (name !== undefined && !top) return { $ref: `#/components/schemas/${name}` };
    if (Array.isArray(schema)) return schema.map((item) => refer(item));
    return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, refer(value)]));
  };

  const paths: Record<string, JsonObject> = {};
  for (const route of routes) {
    const path = route.url.replaceAll(/:([a-z_]+)/g, '{$1}');
    paths[path] ??= {};
    paths[path][route.method.toLowerCase()] = describe(route, refer);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Renderyard',
      version,
      description: 'A queued batch-rendering service: prompts in, images in your bucket, every credit accounted for.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, refer(schema, true)])),
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
    },
  };
}

function describe({ method, schema, needsKey }: DescribedRoute, refer: (schema: unknown) => unknown): JsonObject {
  const parameters = [
    ...parametersOf(schema.params as ObjectSchema | undefined, 'path', refer),
    ...parametersOf(schema.querystring as ObjectSchema | undefined, 'query', refer),
    ...(method === 'POST'
      ? [header('Idempotency-Key', 'Kept 24 hours: the same request again gets the same answer.')]
      : []),
  ];
  const body = schema.body as BodySchema | undefined;
  return {
    summary: schema.summary,
    ...(needsKey ? { security: [{ key: [] }] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined ? {} : { requestBody: requestBodyOf(body, refer) }),
    responses: Object.fromEntries(
      Object.entries(schema.response ?? {}).map(([status, answer]) => [
        status.toUpperCase(),
        responseOf(status, answer as JsonObject, refer),
      ]),
    ),
  };
}

function requestBodyOf(body: BodySchema, refer: (schema: unknown) => unknown): JsonObject {
  return body.content === undefined
    ? { required: (body.required ?? []).length > 0, content: { 'application/json': { schema: refer(body) } } }
    : { required: true, content: refer(body.content) };
}

function parametersOf(
  schema: ObjectSchema | undefined,
  place: string,
  refer: (schema: unknown) => unknown,
): JsonObject[] {
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path',
    schema: refer(property),
  }));
}

function header(name: string, description: string): JsonObject {
  return { name, in: 'header', required: false, description, schema: { type: 'string' } };
}

function responseOf(status: string, schema: JsonObject, refer: (schema: unknown) => unknown): JsonObject {
  const isProblem = status === '4xx' || status === '5xx';
  const type = isProblem ? 'application/problem+json' : (schema.contentMediaType ?? 'application/json');
  return {
    description: (schema.description as string | undefined) ?? STATUS_CODES[status] ?? 'An error.',
    ...(schema.type === 'null' ? {} : { content: { [String(type)]: { schema: refer(schema) } } }),
  };
}
