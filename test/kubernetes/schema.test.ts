import { expect, test } from 'vitest';
import { MANIFESTS, type Manifest, manifest } from './manifests.ts';
import { schemaProblems } from './schema.ts';

test.each(MANIFESTS.map((each) => [`${each.kind} ${each.metadata.name} in ${each.file}`, each] as const))(
  '%s is what the schema of its kind says',
  (_, each) => {
    expect(schemaProblems(each)).toEqual([]);
  },
);

test('all that is promised is there', () => {
  expect(new Set(MANIFESTS.map(({ kind }) => kind))).toEqual(
    new Set([
      'ConfigMap',
      'Deployment',
      'HorizontalPodAutoscaler',
      'Namespace',
      'NetworkPolicy',
      'PodDisruptionBudget',
      'PodMonitor',
      'ScaledObject',
      'Secret',
      'Service',
      'ServiceAccount',
      'StatefulSet',
    ]),
  );
});

/** A copy with one thing changed. */
const changed = (kind: string, name: string, change: (copy: Manifest) => void): Manifest => {
  const copy = structuredClone(manifest(kind, name));
  change(copy);
  return copy;
};

test.each([
  [
    'a field that is spelt wrongly',
    changed('Deployment', 'renderyard-api', ({ spec }) => {
      const [container] = spec.template.spec.containers;
      container.livenesProbe = container.livenessProbe;
      delete container.livenessProbe;
    }),
    ['/spec/template/spec/containers/0/livenesProbe: there is no such field'],
  ],
  [
    'a number where text has to be',
    changed('ConfigMap', 'renderyard', ({ data }) => Object.assign(data ?? {}, { SEGMIND_RPM: 60 })),
    ['data/data/SEGMIND_RPM must be string'],
  ],
  [
    'what has to be there and is not',
    changed('HorizontalPodAutoscaler', 'renderyard-worker', ({ spec }) => {
      delete spec.maxReplicas;
    }),
    ['data/spec must have required property maxReplicas'],
  ],
  [
    'a wrong field of a resource of others',
    changed('ScaledObject', 'renderyard-worker', ({ spec }) => {
      spec.minReplicas = 2;
    }),
    ['/spec/minReplicas: there is no such field'],
  ],
])('%s is noticed', (_, broken, problems) => {
  expect(schemaProblems(broken)).toEqual(problems);
});

test('a version that the kind does not have is noticed', () => {
  const old = { ...manifest('HorizontalPodAutoscaler', 'renderyard-worker'), apiVersion: 'autoscaling/v2beta2' };
  expect(schemaProblems(old)).toEqual(['there is no schema of HorizontalPodAutoscaler in autoscaling/v2beta2']);
});
