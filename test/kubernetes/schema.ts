import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import type { Manifest } from './manifests.ts';

/** A kind with its schema: `validate` throws what that says of `this`. */
interface Model {
  is(object: unknown): boolean;
  readonly prototype: { validate(this: unknown): void };
}

const MODELS: readonly Model[] = [
  ConfigMap,
  Deployment,
  HorizontalPodAutoscaler,
  Namespace,
  NetworkPolicy,
  PodDisruptionBudget,
  PodMonitor,
  ScaledObject,
  Secret,
  Service,
  ServiceAccount,
  StatefulSet,
];

/**
 * What the schema of an object's kind has against it, as one sentence each; also fields that it does not know, which
 * the API server refuses and a schema alone lets pass.
 */
export function schemaProblems({ file: _, ...object }: Manifest): readonly string[] {
  const model = MODELS.find((each) => each.is(object));
  if (model === undefined) return [`there is no schema of ${object.kind} in ${object.apiVersion}`];
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
