import type { Manifest } from './manifests.ts';

/** A kind, as the packages with the schemas have it: its `validate` throws what the schema says of `this`. */
interface Model {
  readonly prototype: { validate(this: unknown): void };
}

/** Where the groups lie that are not Kubernetes' own. */
const CUSTOM: Readonly<Record<string, string>> = {
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/',
  'keda.sh': '@kubernetes-models/keda/',
};

/**
 * What the schema of an object's kind has against it, as one sentence each; also fields that it does not know, which
 * the API server refuses and a schema alone lets pass.
 * @throws {Error} for a kind or a version that does not exist.
 */
export async function schemaProblems({ file: _, ...object }: Manifest): Promise<readonly string[]> {
  const { apiVersion, kind } = object;
  const models = `${CUSTOM[apiVersion.split('/')[0] ?? ''] ?? 'kubernetes-models/'}${apiVersion}/${kind}`;
  const model = ((await import(models)) as Readonly<Record<string, Model>>)[kind];
  if (model === undefined) throw new Error(`${models} has no ${kind}.`);
  const asked = new Set<string>();
  try {
    model.prototype.validate.call(watched(object, '', asked));
  } catch (error) {
    return [(error as Error).message];
  }
  return fieldsNotAsked(object, '', asked);
}

/** A schema asks an object for each field that it knows, and for all where any are allowed. Both are noted. */
function watched(value: unknown, path: string, asked: Set<string>): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return new Proxy(value, {
    get(target, key) {
      const found: unknown = Reflect.get(target, key);
      if (typeof key !== 'string' || !Object.hasOwn(target, key)) return found;
      asked.add(`${path}/${key}`);
      return watched(found, `${path}/${key}`, asked);
    },
    ownKeys(target) {
      for (const key of Object.keys(target)) asked.add(`${path}/${key}`);
      return Reflect.ownKeys(target);
    },
  });
}

function fieldsNotAsked(value: unknown, path: string, asked: ReadonlySet<string>): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => {
    const at = `${path}/${key}`;
    return asked.has(at) ? fieldsNotAsked(inner, at, asked) : [`${at}: there is no such field`];
  });
}
